/**
 * Conversations over TCP and the TLS of the runtime, through a relay that fails, with a server in the same process.
 * @module
 */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { serve } from "../../src/server/serve.ts";
import { connect } from "../../src/sockets/connect.ts";
import { nodeSocket } from "../../src/sockets/node/socket.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { createAuthority, type KeyPair } from "../support/certificates.ts";
import { FaultRelay, type RelayPlan } from "../support/fault_relay.ts";
import { Books } from "./books.ts";
import {
  clientOptions,
  converse,
  handlersOf,
  isForOwnServer,
  isWhole,
  mailsOf,
  serveModel,
  serverOptions,
  type Way,
} from "./conversation.ts";
import type { Played } from "./in_memory.ts";

/** The certificates of a run. */
export interface Certificates extends KeyPair {
  /** What clients trust. */
  readonly ca: string;
}

/** Makes certificates for a server on 127.0.0.1. */
export async function makeCertificates(): Promise<Certificates> {
  const authority = await createAuthority();
  return { ca: authority.cert, ...await authority.issue({ names: ["127.0.0.1"] }) };
}

/** How to hold a conversation. */
export interface TcpPlayOptions extends RelayPlan {
  /** The time limit for each reply, in milliseconds. Default: 20,000. */
  readonly limit?: number;
  /** Whether to see what leaves, through a socket of the caller's. Otherwise nobody knows, and nothing is imprecise. */
  readonly watched?: boolean;
  /** Aborts the whole session, or the messages. */
  readonly abort?: { readonly what: "session" | "messages"; readonly signal: AbortSignal } | undefined;
}

/** How long a conversation, or what is left of it on the server, may take, in milliseconds: longer than any limit. */
const PATIENCE = 60_000;

/** What the server of a lane is told, one conversation after the other, and tells. */
class Desk {
  books = new Books();
  /** The clients, by their ports, whose sessions are over. */
  readonly #ended = new Set<number>();
  #onEnd: () => void = () => {};

  /** A session has ended. */
  end(port: number): void {
    this.#ended.add(port);
    this.#onEnd();
  }

  /** Waits until the session of a client has ended. */
  async ends(port: number): Promise<void> {
    while (!this.#ended.delete(port)) await new Promise<void>((resolve) => this.#onEnd = resolve);
  }
}

interface RunningServer extends AsyncDisposable {
  readonly port: number;
}

/** A server with a relay before it, for one conversation at a time. */
export class Lane implements AsyncDisposable {
  readonly #way: Way;
  readonly #certificates: Certificates;
  readonly #desk: Desk;
  readonly #server: RunningServer;
  readonly #relay: FaultRelay;

  private constructor(
    way: Way,
    certificates: Certificates,
    { desk, server, relay }: { desk: Desk; server: RunningServer; relay: FaultRelay },
  ) {
    this.#way = way;
    this.#certificates = certificates;
    this.#desk = desk;
    this.#server = server;
    this.#relay = relay;
  }

  /** Opens a lane. */
  static async open(way: Way, certificates: Certificates): Promise<Lane> {
    const desk = new Desk();
    const server = isForOwnServer(way)
      ? await startOwn(way, certificates, desk)
      : await startModel(way, certificates, desk);
    return new Lane(way, certificates, { desk, server, relay: await FaultRelay.start(server.port) });
  }

  /** Holds a conversation. */
  async play(options: TcpPlayOptions = {}): Promise<Played> {
    forgetBroken();
    const { limit = 20_000, watched = false, abort } = options;
    const books = this.#desk.books = new Books();
    const mails = mailsOf("t", this.#way, books);
    const relay = this.#relay;
    relay.plan = () => options;
    const left = { text: "" };
    const tls = { caCerts: this.#certificates.ca };
    const address = { hostname: "127.0.0.1", port: relay.port };
    const open = () => watching(connect(address, { secureTransport: "starttls", tls }), left);
    const began = performance.now();
    const held = converse(
      this.#way,
      {
        ...clientOptions(this.#way),
        ...address,
        tls,
        timeouts: limitsOf(limit),
        ...(watched && { socket: open }),
        ...(abort?.what === "session" && { signal: abort.signal }),
      },
      mails,
      books,
      abort?.what === "messages" ? { signal: abort.signal } : {},
    );
    if (!await inTime(held)) books.violations.push("It does not end");
    const waited = performance.now() - began;
    const { connections } = relay;
    await Promise.all(connections.map((connection) => connection.close()));
    // One that has not reached the server has nothing to tell.
    for (const { port } of connections) {
      if (port !== undefined && !await inTime(this.#desk.ends(port))) {
        books.violations.push("The server does not end it");
      }
    }
    const { up = 0, down = 0 } = connections[0]?.passed ?? {};
    relay.forget();
    const figures = books.figures(watched ? (mail) => isWhole(mail, left.text) : undefined);
    return { figures, violations: books.violations, up, down, waited };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

function limitsOf(
  limit: number,
): Record<"connect" | "greeting" | "command" | "mail" | "rcpt" | "data" | "block" | "end" | "quit", number> {
  return {
    connect: limit,
    greeting: limit,
    command: limit,
    mail: limit,
    rcpt: limit,
    data: limit,
    block: limit,
    end: limit,
    quit: limit,
  };
}

async function startOwn(way: Way, { cert, key }: Certificates, desk: Desk): Promise<RunningServer> {
  const handlers = handlersOf(
    () => desk.books,
    ({ remoteAddress }) => desk.end(Number(remoteAddress!.split(":").at(-1))),
  );
  const server = serve({ ...serverOptions(way), tls: { cert, key } }, handlers);
  const { port } = await server.listening;
  return { port, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function startModel(way: Way, { cert, key }: Certificates, desk: Desk): Promise<RunningServer> {
  const secureContext = createSecureContext({ cert, key });
  const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, highWaterMark: 0 };
  const server = createServer(settings, (raw) => {
    const socket = nodeSocket(raw, {
      secureTransport: "starttls",
      allowHalfOpen: true,
      upgrade: (raw) => new TLSSocket(raw, { isServer: true, secureContext, ...{ highWaterMark: 0 } }),
    });
    const port = raw.remotePort!;
    void serveModel(way, socket, desk.books).then(() => desk.end(port));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A socket that notes what it gives to the system: all but what is written once the connection is closed. */
function watching(socket: Socket, left: { text: string }): Socket {
  const decoder = new TextDecoder("latin1");
  let isClosed = false;
  const close = () => void (isClosed = true);
  socket.closed.then(close, close);
  const writable = new WritableStream<Uint8Array>({
    async write(chunk) {
      if (!isClosed) left.text += decoder.decode(chunk);
      const writer = socket.writable.getWriter();
      try {
        await writer.write(chunk);
      } finally {
        writer.releaseLock();
      }
    },
    close: () => socket.writable.close(),
    abort: (reason) => socket.writable.abort(reason),
  });
  const { readable, opened, closed, secureTransport, upgraded } = socket;
  return {
    readable,
    writable,
    opened,
    closed,
    secureTransport,
    upgraded,
    close: (reason) => socket.close(reason),
    startTls: (options) => watching(socket.startTls(options), left),
  };
}

/** Waits for a promise, but not forever. */
async function inTime(promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE);
  });
  const done = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return done;
}
