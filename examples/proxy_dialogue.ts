/**
 * What the examples with proxies share: a connection to the proxy, its answers read byte by byte, and the rest as streams.
 */
import { connect, type Socket, type StreamPair } from "../src/sockets/mod.ts";

/** How long an answer of a proxy may be, in bytes. */
const MAX_LENGTH = 16_384;

/** A dialogue with a proxy, before the connection through it stands. */
export class ProxyDialogue {
  readonly #socket: Socket;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What has come and was not read. */
  #rest = new Uint8Array();

  /**
   * @param proxy Where the proxy is. With `https:` TLS is spoken with it.
   * @param defaultPort Its port, where the URL does not say.
   * @param signal Gives up.
   */
  constructor(proxy: URL, defaultPort: number, signal: AbortSignal) {
    const port = Number(proxy.port) || defaultPort;
    // "starttls": TLS through the proxy is then spoken by the runtime's own means.
    const secureTransport = proxy.protocol === "https:" ? "on" : "starttls";
    this.#socket = connect({ hostname: proxy.hostname, port }, { secureTransport, signal });
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
  }

  /** Says something to the proxy. */
  async say(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  /** Reads just so many bytes. */
  async read(length: number): Promise<Uint8Array> {
    while (this.#rest.length < length) await this.#fill();
    return this.#take(length);
  }

  /** Reads up to and with the end of an HTTP header. */
  async readHeader(): Promise<string> {
    for (;;) {
      const text = new TextDecoder().decode(this.#rest);
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0) return new TextDecoder().decode(this.#take(end + 4));
      await this.#fill();
    }
  }

  /** The connection through the proxy. What the server has said already is not lost. */
  handOver(): Socket | StreamPair {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    const { readable, writable, closed, secureTransport } = this.#socket;
    // TLS with the proxy is none with the server: only the streams are handed on.
    if (this.#rest.length === 0 && secureTransport !== "on") return this.#socket;
    const close = (reason?: unknown) => this.#socket.close(reason);
    return { readable: startingWith(this.#rest, readable), writable, closed, close };
  }

  /** Gives up. */
  async close(reason: unknown): Promise<void> {
    await this.#socket.close(reason).catch(() => {});
  }

  async #fill(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("The proxy hung up");
    const joined = new Uint8Array(this.#rest.length + value.length);
    joined.set(this.#rest);
    joined.set(value, this.#rest.length);
    if (joined.length > MAX_LENGTH) throw new Error("The proxy says too much");
    this.#rest = joined;
  }

  #take(length: number): Uint8Array {
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }
}

function startingWith(first: Uint8Array, rest: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = rest.getReader();
  return new ReadableStream({
    async pull(controller) {
      if (first.length > 0) {
        controller.enqueue(first);
        first = new Uint8Array();
        return;
      }
      const { value, done } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
