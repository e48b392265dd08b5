/**
 * Sockets over a WebSocket, for browsers, which have no others: a bridge takes the WebSocket and forwards its bytes to a
 * server over TCP. `examples/browser/` has a bridge and a page.
 *
 * @module
 */
import type { Connection } from "./connection.ts";
import { ConnectionSocket, type Open } from "./connection_socket.ts";
import type { Socket } from "./socket.ts";
import { WebSocketConnection } from "./websocket_connection.ts";
import { settleUrl, settleWebSocket, type WebSocketSettings } from "./websocket_settings.ts";
import { openWebSocketStream, type WebSocketStreamConstructor } from "./websocket_stream_connection.ts";

/** How a {@linkcode Socket} over a WebSocket behaves. */
export interface WebSocketSocketOptions {
  /**
   * Whether everything between here and the mail server is protected by TLS. Only the caller knows: `wss:` protects the
   * way to the bridge and says nothing of the way from there. `"on"` vouches that the bridge is reached by `wss:` (or is
   * on this machine), can be trusted with the credentials, and speaks TLS with the server. The client then takes the
   * connection for protected, and logs in. Default: `"off"`.
   */
  secureTransport?: "off" | "on";
  /**
   * Whether an empty message ends the sender's side and leaves the other open, which is between this end and the bridge:
   * the WebSocket protocol (RFC 6455) has no such thing. Without it, closing the writable closes the WebSocket, and what
   * the peer has still to say is lost; SMTP needs no more than that. Default: `false`.
   */
  halfClose?: boolean;
  /** See {@linkcode SocketOptions.allowHalfOpen}. Needs `halfClose`. Default: `false`. */
  allowHalfOpen?: boolean;
  /**
   * How many bytes may wait to leave, as `bufferedAmount` has it, before a write waits until half of them are gone. A
   * WebSocket does not tell when they are: it is asked again and again, at intervals that grow from 1 to 64 ms, so that
   * 1 MiB is enough for 1 Gbit/s at 4 ms. A tab in the background asks once a second. Has no meaning where the runtime
   * has a `WebSocketStream`. Default: 1,048,576.
   */
  highWaterMark?: number;
  /**
   * How many bytes of the peer's may wait to be read. A WebSocket cannot be told to wait: with more, the connection fails.
   * Has no meaning where the runtime has a `WebSocketStream`, which reads on demand. Default: 4,194,304, the replies to
   * more than 10,000 messages in flight.
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

/**
 * Opens a WebSocket to a bridge, and makes a socket of it: by `WebSocketStream` where the runtime has it, which gives
 * backpressure both ways, else by `WebSocket`. Bytes travel in binary messages; where one ends means nothing.
 *
 * `opened` resolves when the WebSocket stands. A bridge that cannot reach the server, or refuses to, says so by a close
 * code: 1000 is an end in good order, 1008 and 3003 (forbidden) are `"not-permitted"`, 3008 is `"timed-out"`, every
 * other `"connection-reset"`; code and reason are in the message. Why a WebSocket cannot be opened, browsers do not tell:
 * that is `"network"`. This end closes with 1000, with 4000 when it gave up (`close(reason)`, a signal), with 4003 when
 * the peer sent text, and with 4009 when it sent more than `maxUnread`.
 *
 * {@linkcode Socket.startTls} is a `TypeError`: a page cannot speak TLS through a WebSocket; the bridge can, to the
 * server. So use `security: "none"`, or `secureTransport: "on"` where the bridge does.
 *
 * @param url Where the bridge is, `ws:` or `wss:`, and in a page also a path.
 * @param options How.
 * @returns The socket, not yet open.
 * @throws {SyntaxError} If the URL is none for a WebSocket.
 * @throws {TypeError} If an option is not what it has to be, or if the runtime has no WebSocket.
 * @throws {RangeError} If a number of bytes is none.
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
  const settings = settleWebSocket(options);
  const place = settleUrl(url);
  const protocols = typeof options.protocols === "string" ? [options.protocols] : options.protocols ?? [];
  const { WebSocket, WebSocketStream } = globalThis as {
    WebSocket?: typeof globalThis.WebSocket;
    WebSocketStream?: WebSocketStreamConstructor;
  };
  if (WebSocketStream !== undefined) {
    return createSocket(
      (signal) => openWebSocketStream(WebSocketStream, place, protocols, settings, signal),
      {
        ...settings,
        target: place.host,
      },
    );
  }
  if (WebSocket === undefined) throw new TypeError("This runtime has no WebSocket");
  return createSocket((signal) => {
    const info = { remoteAddress: place.host };
    return new WebSocketConnection(new WebSocket(place, [...protocols]), settings, info).open(signal);
  }, { ...settings, target: place.host });
}

/**
 * Makes a socket of a WebSocket that is open or about to open: one that was opened in another way, or a server's end.
 * What came before is lost, so that it is best done in the turn in which the WebSocket was made. It is the socket's from
 * then on. For the rest see {@linkcode connectWebSocket}.
 *
 * @param webSocket The WebSocket. Its `binaryType` is set to `"arraybuffer"`.
 * @param options How the socket behaves.
 * @returns The socket.
 * @throws {TypeError} If the WebSocket is closed, or if an option is not what it has to be.
 * @throws {RangeError} If a number of bytes is none.
 */
export function webSocketSocket(webSocket: WebSocket, options: WebSocketSocketOptions = {}): Socket {
  const settings = settleWebSocket(options);
  if (webSocket.readyState > 1) throw new TypeError("Cannot make a socket: the WebSocket is closed");
  const target = webSocket.url === "" ? undefined : URL.parse(webSocket.url)?.host;
  const info = target === undefined ? {} : { remoteAddress: target };
  const connection = new WebSocketConnection(webSocket, settings, info);
  if (options.signal?.aborted) void connection.close(options.signal.reason);
  return createSocket((signal) => connection.open(signal), { ...settings, target });
}

function createSocket(
  open: (signal: AbortSignal) => Promise<Connection>,
  init: WebSocketSettings & { target: string | undefined },
): Socket {
  return new WebSocketSocket(open, init);
}

class WebSocketSocket extends ConnectionSocket {
  constructor(open: Open, init: WebSocketSettings & { target: string | undefined }) {
    super(open, { ...init, startTls: () => this.startTls() });
  }

  override startTls(): never {
    throw new TypeError(
      `Cannot start TLS: the socket is a WebSocket's, opened with secureTransport "${this.secureTransport}"; ` +
        `use security "none", or have the bridge speak TLS to the server and say so with secureTransport "on"`,
    );
  }
}
