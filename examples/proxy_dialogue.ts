/**
 * Talks to a proxy, for the examples proxy_http_connect.ts and proxy_socks5.ts: sends requests, reads the answers byte by
 * byte, and then hands the connection over as a socket.
 */
import { connect, type Socket, type StreamPair } from "@streams/smtp/sockets";

/** The longest answer of a proxy, in bytes. */
const MAX_LENGTH = 16_384;

/** The dialogue with a proxy until it has connected to the server. */
export class ProxyDialogue {
  readonly #socket: Socket;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Bytes that have arrived and were not read yet. */
  #rest = new Uint8Array();

  /**
   * @param proxy The proxy's URL. With `https:`, the connection to the proxy uses TLS.
   * @param defaultPort The proxy's port, where the URL has no port.
   * @param signal Cancels the connection.
   */
  constructor(proxy: URL, defaultPort: number, signal: AbortSignal) {
    const port = Number(proxy.port) || defaultPort;
    // "starttls" lets the runtime's own TLS start on this socket later, through the proxy.
    const secureTransport = proxy.protocol === "https:" ? "on" : "starttls";
    this.#socket = connect({ hostname: proxy.hostname, port }, { secureTransport, signal });
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
  }

  /** Sends bytes to the proxy. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  /** Reads exactly this many bytes. */
  async read(length: number): Promise<Uint8Array> {
    while (this.#rest.length < length) await this.#fill();
    return this.#take(length);
  }

  /** Reads an HTTP header with the empty line at its end. */
  async readHeader(): Promise<string> {
    const decoder = new TextDecoder("latin1"); // one character a byte: what follows the header is the server's
    for (;;) {
      const end = decoder.decode(this.#rest).indexOf("\r\n\r\n");
      if (end >= 0) return decoder.decode(this.#take(end + 4));
      await this.#fill();
    }
  }

  /** Returns the connection through the proxy. Bytes that the server has already sent are not lost. */
  handOver(): Socket | StreamPair {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    const { readable, writable, closed, secureTransport } = this.#socket;
    // TLS to the proxy says nothing about the server, so only the streams are handed over.
    if (this.#rest.length === 0 && secureTransport !== "on") return this.#socket;
    const close = (reason?: unknown) => this.#socket.close(reason);
    return { readable: startingWith(this.#rest, readable), writable, closed, close };
  }

  /** Closes the connection. */
  async close(reason: unknown): Promise<void> {
    await this.#socket.close(reason).catch(() => {});
  }

  async #fill(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("The proxy hung up");
    const joined = new Uint8Array(this.#rest.length + value.length);
    joined.set(this.#rest);
    joined.set(value, this.#rest.length);
    if (joined.length > MAX_LENGTH) throw new Error("The proxy's answer is too long");
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
