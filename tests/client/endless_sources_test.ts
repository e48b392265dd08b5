/**
 * Sources that answer at once and without end: timers, signals and sockets must have their turn all the same. Each test would hang,
 * and the whole process with it.
 */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import { compose } from "../../src/compose/mod.ts";
import { refreshToken } from "../../src/oauth2/mod.ts";
import { SmtpPool } from "../../src/pool/mod.ts";
import { serveSocket } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import { readReplies } from "../../src/streams/mod.ts";
import { test } from "../support/harness.ts";
import { LiteralServer } from "../support/literal_server.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };

/** Enough to tell an endless source from one that is given a turn in between, and ends on the code that never gives one. */
const MAX = 300_000;

/** Pieces without end. Counts them, and fails where nothing ever has a turn. */
class Endless {
  count = 0;
  returned = false;
  readonly #first: string;
  readonly #piece: string;
  readonly #returns: boolean;

  constructor(piece: string, { first = "Subject: Hi\r\n\r\n", returns = true } = {}) {
    this.#first = first;
    this.#piece = piece;
    this.#returns = returns;
  }

  next(): Promise<IteratorResult<string>> {
    if (++this.count > MAX) return Promise.reject(new Error("nothing else had a turn"));
    return Promise.resolve({ value: this.count === 1 ? this.#first : this.#piece, done: false });
  }

  get iterable(): AsyncIterable<string> {
    const iterator: AsyncIterator<string> = { next: () => this.next() };
    if (this.#returns) {
      iterator.return = () => {
        this.returned = true;
        return Promise.resolve({ value: undefined, done: true });
      };
    }
    return { [Symbol.asyncIterator]: () => iterator };
  }

  get stream(): ReadableStream<string> {
    return new ReadableStream({
      pull: async (controller) => controller.enqueue((await this.next()).value),
      cancel: () => void (this.returned = true),
    });
  }
}

/** Aborted by a timer: it fires only if timers have their turn. */
function soon(): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("soon")), 1);
  return controller.signal;
}

/** Waits until nothing is asked of a source any more. */
async function isLeft(source: { count: number }): Promise<void> {
  for (let before = -1; before !== source.count;) {
    before = source.count;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function withClient(body: (client: SmtpClient) => Promise<void>): Promise<void> {
  const [socket, peer] = memorySocketPair({ highWaterMark: 65_536 });
  const server = new LiteralServer(peer, { bdat: "known" });
  const client = await SmtpClient.connect({ socket, security: "none", clientName: "client.test" });
  try {
    await body(client);
  } finally {
    await client.close();
    await peer.close().catch(() => {});
    await server.done;
  }
}

for (
  const [what, open] of [
    ["an iterator of empty pieces", (source: Endless) => source.iterable],
    ["a stream of empty pieces", (source: Endless) => source.stream],
    ["a function that opens an iterator of empty pieces", (source: Endless) => () => source.iterable],
  ] as const
) {
  test(`SmtpClient.send() can be aborted while it reads ${what} without end`, () =>
    withClient(async (client) => {
      const source = new Endless("");
      const error = await client.send(ENVELOPE, open(source), { signal: soon() }).catch((error) => error);
      assertEquals([error.code, source.returned], ["aborted", true], `${error.cause}`);
      await isLeft(source);
    }));
}

test("SmtpClient.send() asks nothing more of an iterator without return() that it has given up", () =>
  withClient(async (client) => {
    const source = new Endless("", { returns: false });
    const error = await client.send(ENVELOPE, source.iterable, { signal: soon() }).catch((error) => error);
    assertEquals(error.code, "aborted", `${error.cause}`);
    await isLeft(source);
  }));

test("SmtpClient.send() can be aborted while it reads a piece of a byte after the other", () =>
  withClient(async (client) => {
    const source = new Endless("x");
    const error = await client.send(ENVELOPE, source.iterable, { signal: soon(), lineLength: "allow" })
      .catch((error) => error);
    assertEquals(error.code, "aborted", `${error.cause}`);
    await isLeft(source);
  }));

test("SmtpClient.close() ends a send that reads empty pieces without end", () =>
  withClient(async (client) => {
    const source = new Endless("");
    const sent = client.send(ENVELOPE, source.iterable).catch((error) => error);
    setTimeout(() => void client.close(), 1);
    const error = await sent;
    assertEquals(error.code, "client-closed", `${error.cause}`);
    await isLeft(source);
  }));

for (const [what, open] of [["an iterator", "iterable"], ["a stream", "stream"]] as const) {
  test(`compose() can be given up while it reads ${what} of empty pieces without end`, async () => {
    const source = new Endless("", { first: "Hi" });
    const mail = await compose({ ...ENVELOPE, text: "Hi", attachments: [{ content: source[open] }] });
    const message = mail.message as ReadableStream<Uint8Array>;
    const reader = message.getReader();
    const reading = (async () => {
      while (!(await reader.read()).done);
    })();
    while (source.count < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await reader.cancel();
    await reading.catch(() => {});
    await isLeft(source);
    assert(source.count <= MAX, "nothing else had a turn");
  });
}

test("SmtpPool.sendAll() can be stopped while each mail of an endless source is refused", async () => {
  const [socket] = memorySocketPair();
  await using pool = new SmtpPool({ socket: () => Promise.resolve(socket), security: "none" });
  const most = 20_000;
  let count = 0;
  const source = {
    [Symbol.iterator]: () => ({
      next: () =>
        ++count > most
          ? { value: undefined, done: true as const }
          : { value: { envelope: ENVELOPE, message: undefined as never }, done: false as const },
    }),
  };
  let stopped = false;
  setTimeout(() => stopped = true, 1);
  for await (const { error } of pool.sendAll(source)) {
    assert(error instanceof Error);
    if (stopped) break;
  }
  assert(count <= most, "nothing else had a turn");
});

/** Reads empty pieces without end. */
function emptyBytes(): { count: number; failed: boolean; stop(): void; stream: ReadableStream<Uint8Array> } {
  const source = {
    count: 0,
    failed: false,
    stopped: false,
    stop: () => void (source.stopped = true),
    stream: new ReadableStream<Uint8Array>({
      pull(controller) {
        if (source.stopped) return controller.close();
        source.failed = ++source.count > MAX;
        if (source.failed) controller.error(new Error("nothing else had a turn"));
        else controller.enqueue(new Uint8Array());
      },
    }, { highWaterMark: 0 }),
  };
  return source;
}

test("readReplies() can be aborted while it reads empty chunks without end", async () => {
  const source = emptyBytes();
  const error = await readReplies(source.stream, { signal: soon() }).next().then(() => {}, (error) => error);
  assertEquals(error?.message, "soon");
  await isLeft(source);
});

/** A socket of another make, which is used as it is. */
function foreignSocket(readable: ReadableStream<Uint8Array>, stop: () => void): Socket {
  const closed = Promise.withResolvers<void>();
  return {
    readable,
    writable: new WritableStream(),
    opened: Promise.resolve({}),
    closed: closed.promise,
    upgraded: false,
    secureTransport: "off",
    close: () => (stop(), closed.resolve(), Promise.resolve()),
    startTls: () => {
      throw new TypeError("There is no TLS");
    },
  };
}

for (
  const [what, make] of [
    ["a socket of another make", foreignSocket],
    [
      "a pair of streams",
      (readable: ReadableStream<Uint8Array>) => ({ readable, writable: new WritableStream() }),
    ],
  ] as const
) {
  test(`SmtpClient.connect() can be aborted while ${what} gives empty chunks without end`, async () => {
    const source = emptyBytes();
    const socket = make(source.stream, source.stop);
    const error = await SmtpClient.connect({ socket, security: "none", signal: soon() })
      .then(() => {}, (error) => error);
    assertEquals(error?.code, "aborted", `${error?.cause}`);
    source.stop();
    await isLeft(source);
  });

  test(`serveSocket() gives up a client when ${what} gives empty chunks without end`, async () => {
    const source = emptyBytes();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 1);
    const socket = toSocket(make(source.stream, source.stop));
    await serveSocket(socket, { signal: abort.signal, timeouts: { shutdown: 1 } });
    assert(!source.failed, "nothing else had a turn");
    source.stop();
    await isLeft(source);
  });
}

test("a token endpoint whose response is empty chunks without end is given up in time", async () => {
  const source = emptyBytes();
  const token = refreshToken({
    provider: { tokenEndpoint: "https://login.test/token" },
    clientId: "id",
    refreshToken: "refresh",
    fetch: () => Promise.resolve(new Response(source.stream)),
    timeout: 20,
  });
  const error = await token().catch((error) => error);
  assert(error instanceof Error && !source.failed, `${error}`);
  await isLeft(source);
});
