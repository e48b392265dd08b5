/**
 * Sockets over a WebSocket, for browsers, which have no others: a bridge accepts the WebSocket and forwards its bytes to a
 * server over TCP. `examples/browser/` has a bridge and a page.
 *
 * @module
 */
import { ConnectionSocket, type Open } from "../connection_socket.ts";
import { mustBe, show } from "../../core/errors.ts";
import { mustExist, type OptionHints, type OptionNames } from "../../core/option_names.ts";
import type { Socket } from "../socket.ts";
import { WebSocketConnection } from "./connection.ts";
import { openWebSocketStream, type WebSocketStreamConstructor } from "./stream_connection.ts";

/** How a {@linkcode Socket} over a WebSocket behaves. */
export interface WebSocketSocketOptions {
  /**
   * Whether everything between here and the mail server is protected by TLS. Only the caller knows: `wss:` protects the
   * way to the bridge and says nothing about the way from there. With `"on"` the caller vouches that the bridge is reached
   * by `wss:` (or is on this machine), can be trusted with the credentials, and speaks TLS with the server. The client then
   * treats the connection as protected, and logs in. Default: `"off"`.
   */
  secureTransport?: "off" | "on";
  /**
   * Whether an empty message ends the sender's side and leaves the other side open. This end and the bridge have to agree
   * on it, because the WebSocket protocol (RFC 6455) has no half-close. Without it, closing the writable closes the
   * WebSocket, and anything that the peer still sends is lost, which is good enough for SMTP. Default: `false`.
   */
  halfClose?: boolean;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Needs `halfClose`. Default: `false`. */
  allowHalfOpen?: boolean;
  /**
   * How many bytes may wait to be sent, as counted by `bufferedAmount`, before a write waits until half of them are gone. A
   * WebSocket does not report when they are: it is polled, at intervals that grow from 1 to 64 ms, so that 1 MiB is enough
   * for 1 Gbit/s at 4 ms. A tab in the background polls once a second. Ignored where the runtime has a `WebSocketStream`.
   * Default: 1,048,576.
   */
  highWaterMark?: number;
  /**
   * How many received bytes may wait to be read. A WebSocket cannot make its peer wait: if there are more, the connection
   * fails. One of less than 256 bytes counts as 256. Ignored where the runtime has a `WebSocketStream`, which reads on demand. Default: 4,194,304, the replies to more
   * than 10,000 messages in flight.
   */
  maxUnread?: number;
  /** Gives up: while the WebSocket opens `opened` rejects, later the socket closes. */
  signal?: AbortSignal;
}

/** How to open a WebSocket, and how the {@linkcode Socket} over it behaves. */
export interface ConnectWebSocketOptions extends WebSocketSocketOptions {
  /** The subprotocols to offer, most wanted first (RFC 6455, section 1.9). Default: none. */
  protocols?: string | readonly string[];
}

const NAMES: OptionNames<WebSocketSocketOptions> = {
  secureTransport: true,
  halfClose: true,
  allowHalfOpen: true,
  highWaterMark: true,
  maxUnread: true,
  signal: true,
};

const HINTS: OptionHints = {
  security: "use secureTransport",
  tls: "leave it out: a page cannot speak TLS through a WebSocket, the bridge can",
};

/**
 * Opens a WebSocket to a bridge, and makes a socket of it: with `WebSocketStream` where the runtime has it, which gives
 * backpressure both ways, otherwise with `WebSocket`. Bytes travel in binary messages, whose boundaries mean nothing.
 *
 * `opened` resolves when the WebSocket is open. A bridge that cannot reach the server, or refuses to, says so with a close
 * code: 1000 is an end in good order, 1008 and 3003 (forbidden) are `"not-permitted"`, 3008 is `"timed-out"`, and every
 * other code is `"connection-reset"`; code and reason are in the message. Browsers do not tell why a WebSocket cannot be
 * opened: that is `"network"`. This end closes with 1000, with 4000 when it gave up (`close(reason)`, a signal), with 4003
 * when the peer sent text, and with 4009 when it sent more than `maxUnread`.
 *
 * {@linkcode Socket.startTls} throws a `TypeError`: a page cannot speak TLS through a WebSocket; the bridge can, to the
 * server. So use `security: "none"`, or `secureTransport: "on"` if the bridge does.
 *
 * @param url The address of the bridge, `ws:` or `wss:`; in a page, a path will do.
 * @param options Subprotocols, and how the socket behaves.
 * @returns The socket, not yet open.
 * @throws {SyntaxError} If the URL is not valid for a WebSocket.
 * @throws {TypeError} If an option is not valid, or if the runtime has no WebSocket.
 * @throws {RangeError} If a number of bytes is out of range.
 *
 * @example
 * ```ts ignore
 * import { SmtpClient } from "@streams/smtp";
 * import { connectWebSocket } from "@streams/smtp/sockets";
 *
 * const socket = connectWebSocket("wss://bridge.example.com/smtp/smtp.example.com:465", { secureTransport: "on" });
 * const client = await SmtpClient.connect({ socket, auth: { user: "me", pass: "secret" } });
 * ```
 */
export function connectWebSocket(url: string | URL, options: ConnectWebSocketOptions = {}): Socket {
  const { protocols: offered, ...rest } = options;
  const settings = settleWebSocket(rest);
  const place = settleUrl(url);
  const protocols = typeof offered === "string" ? [offered] : offered ?? [];
  const { WebSocket, WebSocketStream } = globalThis as {
    WebSocket?: typeof globalThis.WebSocket;
    WebSocketStream?: WebSocketStreamConstructor;
  };
  if (WebSocketStream !== undefined) {
    return new WebSocketSocket(
      (signal) => openWebSocketStream(WebSocketStream, place, protocols, settings, signal),
      {
        ...settings,
        target: place.host,
      },
    );
  }
  if (WebSocket === undefined) throw new TypeError("Cannot connect: this runtime has no WebSocket");
  return new WebSocketSocket((signal) => {
    const info = { remoteAddress: place.host };
    return new WebSocketConnection(new WebSocket(place, [...protocols]), settings, info).open(signal);
  }, { ...settings, target: place.host });
}

/**
 * Makes a socket of a WebSocket that is open or about to open: one that was opened in another way, or a server's end.
 * Messages that came before are lost, so it is best done in the turn in which the WebSocket was made. The socket takes over
 * the WebSocket. For the rest see {@linkcode connectWebSocket}.
 *
 * @param webSocket The WebSocket. Its `binaryType` is set to `"arraybuffer"`.
 * @param options How the socket behaves.
 * @returns The socket.
 * @throws {TypeError} If the WebSocket is closed, or if an option is not valid.
 * @throws {RangeError} If a number of bytes is out of range.
 */
export function webSocketSocket(webSocket: WebSocket, options: WebSocketSocketOptions = {}): Socket {
  const settings = settleWebSocket(options);
  if (webSocket.readyState > 1) throw new TypeError("Cannot make a socket: the WebSocket is closed");
  const target = webSocket.url === "" ? undefined : URL.parse(webSocket.url)?.host;
  const info = target === undefined ? {} : { remoteAddress: target };
  const connection = new WebSocketConnection(webSocket, settings, info);
  if (options.signal?.aborted) void connection.close(options.signal.reason);
  return new WebSocketSocket((signal) => connection.open(signal), { ...settings, target });
}

/** {@linkcode WebSocketSocketOptions}, checked and complete. */
interface WebSocketSettings {
  /** See {@linkcode WebSocketSocketOptions.secureTransport}. */
  readonly secureTransport: "off" | "on";
  /** See {@linkcode WebSocketSocketOptions.halfClose}. */
  readonly halfClose: boolean;
  /** See {@linkcode WebSocketSocketOptions.allowHalfOpen}. */
  readonly allowHalfOpen: boolean;
  /** See {@linkcode WebSocketSocketOptions.highWaterMark}. */
  readonly highWaterMark: number;
  /** See {@linkcode WebSocketSocketOptions.maxUnread}. */
  readonly maxUnread: number;
  /** See {@linkcode WebSocketSocketOptions.signal}. */
  readonly signal: AbortSignal | undefined;
}

class WebSocketSocket extends ConnectionSocket {
  constructor(open: Open, init: WebSocketSettings & { target: string | undefined }) {
    super(open, { ...init, startTls: () => this.startTls() });
  }

  override startTls(): never {
    throw new TypeError(
      `Cannot start TLS: the socket belongs to a WebSocket, opened with secureTransport "${this.secureTransport}"; ` +
        `use security "none", or have the bridge speak TLS to the server and say so with secureTransport "on"`,
    );
  }
}

/** Checks the options, before anything is opened. */
function settleWebSocket(given: WebSocketSocketOptions): WebSocketSettings {
  const options = mustExist("make a socket", given, NAMES, { hints: HINTS });
  const { secureTransport = "off", halfClose = false, allowHalfOpen = false, signal } = options;
  if (secureTransport !== "off" && secureTransport !== "on") {
    throw new TypeError(mustBe("make a socket", "secureTransport", '"off" or "on"', secureTransport));
  }
  if (allowHalfOpen && !halfClose) {
    throw new TypeError(
      "Cannot make a socket: allowHalfOpen needs halfClose, a WebSocket closes both ways at once",
    );
  }
  return Object.freeze({
    secureTransport,
    halfClose,
    allowHalfOpen,
    highWaterMark: settleLength("highWaterMark", options.highWaterMark, 1024 * 1024),
    maxUnread: settleLength("maxUnread", options.maxUnread, 4 * 1024 * 1024),
    signal,
  });
}

function settleLength(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(mustBe("make a socket", name, "a whole number above 0", value));
}

/** Checks the URL of a bridge. `new WebSocket()` takes relative and `http:` URLs as well, but not on every runtime. */
function settleUrl(url: string | URL): URL {
  const { location } = globalThis as { location?: { href: string } };
  const place = URL.parse(String(url), location?.href);
  if (place?.protocol === "http:") place.protocol = "ws:";
  if (place?.protocol === "https:") place.protocol = "wss:";
  if ((place?.protocol === "ws:" || place?.protocol === "wss:") && place.hash === "") return place;
  const what = "a URL that begins with ws: or wss: and has no fragment";
  // It may have a password in it.
  const shown = String(url).includes("@") ? "one with an @" : show(String(url));
  throw new SyntaxError(`Cannot connect: url must be ${what}, the current value is ${shown}`);
}
