/**
 * Stands in for saslauthd: a program that the Cyrus SASL library asks about passwords, as many sites have it check them against
 * PAM or LDAP. It hears the password itself, so it serves PLAIN and LOGIN, and has nothing to check SCRAM or CRAM-MD5 with.
 * @module
 */
import { Buffer } from "node:buffer";
import { chmodSync, rmSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { makePeerFolder } from "./peer_process.ts";

/** A running stand-in. */
export interface Saslauthd extends AsyncDisposable {
  /** Its socket, for `saslauthd_path`. */
  readonly path: string;
  /** The names that it was asked about, in that order. */
  readonly asked: readonly string[];
}

/** Starts it. It lets one user in, with one password. */
export async function startSaslauthd(user: string, pass: string): Promise<Saslauthd> {
  const folder = makePeerFolder("saslauthd");
  chmodSync(folder, 0o755); // Postfix drops root and must still get in
  const path = join(folder, "mux");
  const asked: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let heard = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes: Uint8Array) => {
      heard = Buffer.concat([heard, bytes]);
      const parts = countedStrings(heard);
      if (parts === undefined) return;
      const [name, password, , realm] = parts;
      asked.push(name!);
      const known = `${name}@${realm}` === user || name === user;
      const verdict = known && password === pass ? "OK" : "NO";
      socket.end(Buffer.from([0, verdict.length, ...Buffer.from(verdict)]));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o777);
  return {
    path,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Name, password, service and realm, each after its length in two octets; `undefined` until all are here. */
function countedStrings(bytes: Buffer): string[] | undefined {
  const strings: string[] = [];
  let at = 0;
  while (strings.length < 4) {
    if (bytes.length < at + 2) return undefined;
    const end = at + 2 + bytes.readUInt16BE(at);
    if (bytes.length < end) return undefined;
    strings.push(bytes.toString("utf8", at + 2, end));
    at = end;
  }
  return strings;
}
