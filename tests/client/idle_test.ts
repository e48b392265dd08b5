/** Programs with an idle session: they end by themselves, and learn at once that the server has taken its leave. */
import { assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import type { Peer } from "../support/peer.ts";

/** What the program in `idle_main.ts` does. */
export interface IdleTask {
  port: number;
  /** With STARTTLS: whom to trust. */
  caCerts?: string[];
  /** How many mails it sends. */
  mails: number;
  /** Whether it begins another one, and forgets it. */
  begins: boolean;
  /** Whether it has something else to do until the session is over. */
  stays: boolean;
}

/** What an idle server does, and what the program says of it. */
const LEAVES: Record<string, [(peer: Peer) => Promise<void>, string]> = {
  "says 421": [
    (peer) => peer.write("421 4.4.2 mx.test Idle for too long\r\n"),
    "SmtpError: The server closes the session: mx.test Idle for too long",
  ],
  "says 451": [
    (peer) => peer.write("451 4.4.2 Timeout\r\n"),
    "SmtpError: Unexpected reply, no command is waiting for one: 451 4.4.2 Timeout",
  ],
  "ends the connection": [(peer) => peer.end(), "SmtpError: The server has closed the connection"],
};

for (const security of ["none", "starttls"] as const) {
  for (const mails of [0, 2]) {
    test(`A program that forgets quit() after ${mails} mails ends by itself, security ${security} on ${runtime}`, async () => {
      await using server = await Server.start(security);
      const program = run(server, { mails, begins: false, stays: false });
      assertEquals(await program.ended, [0, "idle\n"]);
    });
  }

  test(`A program that forgets a mail after mail() ends by itself, security ${security} on ${runtime}`, async () => {
    await using server = await Server.start(security);
    const program = run(server, { mails: 0, begins: true, stays: false });
    assertEquals(await program.ended, [0, "idle\n"]);
  });

  for (const [what, [leave, words]] of Object.entries(LEAVES)) {
    test(`A program learns at once that an idle server ${what}, security ${security} on ${runtime}`, async () => {
      await using server = await Server.start(security);
      const program = run(server, { mails: 1, begins: false, stays: true });
      await program.idle;
      await leave(server.peer!);
      assertEquals(await program.ended, [0, `idle\nfalse ${words}\n`]);
    });
  }
}

/** A server that takes everything, on one connection. */
class Server implements AsyncDisposable {
  readonly #listener: Listener;
  readonly task: Pick<IdleTask, "port" | "caCerts">;
  /** The connection, under TLS once that is so. */
  peer: Peer | undefined;

  private constructor(listener: Listener, tls: (KeyPair & { authority: string }) | undefined) {
    this.#listener = listener;
    const { port } = listener.address as { port: number };
    this.task = { port, ...(tls && { caCerts: [tls.authority] }) };
    void serve(listener, tls, (peer) => this.peer = peer).catch(() => {}); // the program has told what is wrong
  }

  static async start(security: "none" | "starttls"): Promise<Server> {
    const listener = await Listener.tcp();
    if (security === "none") return new Server(listener, undefined);
    const authority = await createAuthority();
    return new Server(listener, { ...await authority.issue(), authority: authority.cert });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
  }
}

async function serve(
  listener: Listener,
  tls: KeyPair | undefined,
  onPeer: (peer: Peer) => void,
): Promise<void> {
  let peer = await listener.accept();
  await peer.write("220 mx.test\r\n");
  for (let bytes = await peer.read(); bytes !== null; bytes = await peer.read()) {
    const text = new TextDecoder().decode(bytes);
    if (text.startsWith("STARTTLS")) {
      await peer.write("220 Go\r\n");
      peer = await peer.startTls(tls!);
    } else if (text.startsWith("EHLO")) {
      await peer.write(`250-mx.test\r\n250 ${tls ? "STARTTLS" : "SIZE"}\r\n`);
    } else if (text.startsWith("DATA")) await peer.write("354 Go\r\n");
    else await peer.write("250 Ok\r\n");
    onPeer(peer);
  }
}

function run(
  server: Server,
  task: Omit<IdleTask, "port" | "caCerts">,
): { idle: Promise<void>; ended: Promise<[number | null, string]> } {
  const main = fileURLToPath(new URL("idle_main.ts", import.meta.url));
  const hooks = new URL("../../tools/node_hooks.mjs", import.meta.url).href;
  const flags =
    { deno: ["run", "-A", "--no-check"], node: ["--import", hooks], bun: ["run"] }[runtime as "deno"];
  const child = spawn(process.execPath, [...flags, main, JSON.stringify({ ...server.task, ...task })], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const idle = Promise.withResolvers<void>();
  let output = "";
  const collect = (chunk: unknown) => {
    output += chunk;
    if (output.startsWith("idle\n")) idle.resolve();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const ended = new Promise<[number | null, string]>((resolve) => {
    child.on("close", (code) => {
      idle.resolve();
      resolve([code, output]);
    });
  });
  return { idle: idle.promise, ended };
}
