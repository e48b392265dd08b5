import { assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { SocketAddress, SocketOptions, TlsOptions } from "../../src/sockets/socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { certificates } from "./conformance.ts";

/** What the program in `unref_main.ts` does. */
export interface UnrefTask {
  address: SocketAddress;
  transport: NonNullable<SocketOptions["secureTransport"]>;
  tls?: TlsOptions;
  localAddress?: string;
  /** Whether the socket is one that a function of the caller's opens. */
  isPair?: boolean;
  /** What to call, and when: `"opening"`, `"open"`, `"upgrading"`, `"upgraded"` or `"reading"`. */
  calls: Record<string, ("ref" | "unref")[]>;
}

type Kind = Omit<UnrefTask, "address" | "calls"> & { isUnix?: boolean };

const kinds: Record<string, Kind> = {
  "a TCP socket": { transport: "off" },
  "a TLS socket": { transport: "on" },
  "a socket after STARTTLS": { transport: "starttls" },
  "a TLS socket that shows its certificate": { transport: "on", tls: { peerCertificate: true } },
  "a socket after STARTTLS that shows its certificate": {
    transport: "starttls",
    tls: { peerCertificate: true },
  },
  "a socket with a localAddress": { transport: "off", localAddress: "127.0.0.1" },
  "a TLS socket with a localAddress": { transport: "on", localAddress: "127.0.0.1" },
  "a socket that a function opens": { transport: "off", isPair: true },
  "a socket that a function opens, after STARTTLS": { transport: "starttls", isPair: true },
  ...process.platform !== "win32" && {
    "a unix socket": { transport: "off", isUnix: true },
    "a unix socket after STARTTLS": { transport: "starttls", isUnix: true },
  },
};

type Calls = Record<string, UnrefTask["calls"]>;

/** Calls after which a process may end. */
const ENDING: Calls = {
  "before it is open": { opening: ["unref"] },
  "during a read": { reading: ["unref"] },
};
const ENDING_MORE: Calls = {
  "before a read": { open: ["unref"], upgraded: ["unref"] },
  "more than once": { opening: ["unref"], reading: ["ref", "unref", "unref"] },
  "in the handshake": { upgrading: ["unref"], reading: ["unref"] },
};
/** Calls after which a process goes on. */
const LASTING: Calls = {
  "without unref()": {},
  "with ref() during a read": { opening: ["unref"], reading: ["ref"] },
};
const LASTING_MORE: Calls = {
  "with ref() before it is open": { opening: ["unref", "ref"] },
  "with ref() when it is open": { opening: ["unref"], open: ["ref"] },
  "with ref() in the handshake": { open: ["unref"], upgrading: ["ref"], reading: ["ref"] },
};
/** The kinds that are tried with all calls: a process takes its time. */
const THOROUGH: ReadonlySet<string> = new Set(["a TCP socket", "a socket after STARTTLS"]);

for (const [name, kind] of Object.entries(kinds)) {
  test(`unref() lets a process with ${name} end on ${runtime}`, async () => {
    for (const [when, calls] of Object.entries({ ...ENDING, ...THOROUGH.has(name) && ENDING_MORE })) {
      await using child = await Child.start(kind, calls);
      assertEquals([when, await child.ended, child.output], [when, 0, "idle\n"]);
    }
  });

  test(`a process with ${name} goes on on ${runtime} unless unref() was called`, async () => {
    for (const [when, calls] of Object.entries({ ...LASTING, ...THOROUGH.has(name) && LASTING_MORE })) {
      await using child = await Child.start(kind, calls);
      await child.idle;
      await child.send("220 mx.test\r\n");
      assertEquals([when, await child.ended, child.output], [when, 0, "idle\ngot 13\nclosed\n"]);
    }
  });
}

/** The program, and the server that it is connected to. */
class Child implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #process: ReturnType<typeof spawn>;
  readonly #idle = Promise.withResolvers<void>();
  readonly idle: Promise<void> = this.#idle.promise;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  /** Sends to it. */
  readonly send: (text: string) => Promise<void>;
  output = "";

  private constructor(listener: Listener, task: UnrefTask, cert: { cert: string; key: string }) {
    this.#listener = listener;
    const peer = listener.accept().then((peer) => task.transport === "off" ? peer : peer.startTls(cert));
    peer.catch(() => {}); // the program has told what is wrong
    this.send = async (text) => await (await peer).write(text);
    const main = fileURLToPath(new URL("unref_main.ts", import.meta.url));
    const hooks = new URL("../../tools/node_hooks.mjs", import.meta.url).href;
    const flags = runtime === "deno"
      ? ["run", "-A", "--no-check"]
      : runtime === "node"
      ? ["--import", hooks]
      : ["run"];
    this.#process = spawn(process.execPath, [...flags, main, JSON.stringify(task)], {
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const collect = (chunk: unknown) => {
      this.output += chunk;
      if (this.output.startsWith("idle\n")) this.#idle.resolve();
    };
    this.#process.stdout!.on("data", collect);
    this.#process.stderr!.on("data", collect);
    this.ended = new Promise((resolve) => {
      this.#process.on("close", (code) => {
        this.#idle.resolve();
        resolve(code);
      });
    });
  }

  static async start({ isUnix, ...rest }: Kind, calls: UnrefTask["calls"]): Promise<Child> {
    const { authority, good } = await certificates();
    const listener = isUnix ? await Listener.unix() : await Listener.tcp();
    const tls = rest.transport === "off"
      ? {}
      : { tls: { caCerts: [authority.cert], serverName: "localhost", ...rest.tls } };
    return new Child(listener, { ...rest, ...tls, address: listener.address, calls }, good);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
    await this.#listener[Symbol.asyncDispose]();
  }
}
