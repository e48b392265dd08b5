/**
 * OpenSSL's `s_server`: TLS from the first byte, which returns each line reversed. It speaks no SMTP: it shows what another
 * TLS makes of a certificate, and can be given a key that is not the certificate's.
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePeerFolder, PeerProcess } from "./peer_process.ts";
import { findPorts } from "./ports.ts";
import { peerMissing } from "./peers.ts";

/** A running server. */
export interface OpensslServer extends AsyncDisposable {
  port: number;
  /** Its certificate, PEM: signed by itself, for localhost and 127.0.0.1, with CA:TRUE. */
  cert: string;
  /** What `openssl x509 -fingerprint -sha256` prints of it. */
  fingerprint: string;
}

/** Returns why it cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function opensslMissing(): string | undefined {
  return peerMissing("OpenSSL", { programs: ["openssl", "setsid"] });
}

/**
 * Starts it and waits until it accepts connections.
 * @param version The only version of TLS that it speaks.
 * @param isForged Whether it has the certificate without its key: it signs with another one.
 */
export async function startOpenssl(version: "tls1_2" | "tls1_3", isForged = false): Promise<OpensslServer> {
  const folder = makePeerFolder("openssl");
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(`openssl ${args[0]} ended with ${status}: ${stderr}`);
    return stdout;
  };
  for (const key of ["own.key", "other.key"]) {
    run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key);
  }
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  run(..."req -x509 -new -key own.key -out cert.pem -days 2 -subj /CN=localhost -addext".split(" "), names);
  if (isForged) forge(join(folder, "own.key"), join(folder, "other.key"));
  const [port] = await findPorts(1);
  const args = ["-accept", `${port}`, "-cert", "cert.pem", "-key", "own.key", `-${version}`, "-rev"];
  const server = new PeerProcess("OpenSSL", folder, { command: ["openssl", "s_server", ...args] });
  try {
    await server.ready([port!]);
    return {
      port: port!,
      cert: readFileSync(join(folder, "cert.pem"), "utf8"),
      fingerprint: run("x509", "-noout", "-fingerprint", "-sha256", "-in", "cert.pem").split("=")[1]!,
      [Symbol.asyncDispose]: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * Puts the secret number of another key into a key file (RFC 5915) and leaves the public point, which is all that OpenSSL
 * compares with the certificate.
 */
function forge(file: string, other: string): void {
  const [own, secret] = [file, other].map((path) => {
    return Buffer.from(readFileSync(path, "utf8").replace(/-----.*-----|\s/g, ""), "base64");
  });
  const start = own!.indexOf(Buffer.from([0x04, 32])) + 2;
  secret!.copy(own!, start, start, start + 32);
  const lines = own!.toString("base64").replace(/.{64}/g, "$&\n");
  writeFileSync(file, `-----BEGIN EC PRIVATE KEY-----\n${lines}\n-----END EC PRIVATE KEY-----\n`);
}
