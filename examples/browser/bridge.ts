/**
 * Mail from a web page. A page has no sockets but WebSockets: this server takes them and forwards their bytes over TCP, to
 * the mail servers that it was told and no others. It serves a page, too, which sends a message with a file and shows how
 * far it is.
 *
 * ```sh
 * deno task example:browser --to smtp.example.com:465/tls --to 127.0.0.1:2525
 * ```
 * and open what it prints. The task makes the library one ES module with `deno bundle`, and runs this file.
 *
 * - `--to HOST:PORT`: a server to forward to; with `/tls` the bridge speaks TLS to it, as a page cannot.
 * - `--ca FILE`: certificate authorities to trust besides the system's, PEM.
 * - `--host`, `--port`: where to listen. Default: 127.0.0.1, and 8025; 0 takes any port that is free.
 * - `--origin URL`: another site whose pages may use the bridge. Default: only the page that is served here.
 * - `--connections N`: how many at a time. Default: 100.
 *
 * Whoever can reach the bridge can speak with the servers behind it as if from here: let it listen beyond this machine
 * only behind something that does `https:` and knows its users.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
// Deno's own server cannot let a WebSocket wait: with a mail server slower than the page, its memory would fill.
// @ts-types="npm:@types/ws@^8.18"
import { type WebSocket, WebSocketServer } from "ws";
import { connect, SocketError } from "../../src/sockets/mod.ts";

/** A message of the adapter's is no longer than 64 KiB. */
const MAX_MESSAGE = 65_536;
/** How much may wait for the mail server, per connection, before the page has to wait. */
const MAX_WAITING = 256 * 1024;
/** A connection on which nothing passes is closed. SMTP waits for 10 minutes at most (RFC 5321, section 4.5.3.2). */
const IDLE_LIMIT = 15 * 60 * 1000;
/** How often that is looked at. */
const IDLE_CHECK = 60 * 1000;

const { values: flags } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    to: { type: "string", multiple: true, default: [] },
    ca: { type: "string", multiple: true, default: [] },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "8025" },
    origin: { type: "string", multiple: true, default: [] },
    connections: { type: "string", default: "100" },
  },
});
const servers = new Map(flags.to.map(parseServer));
const caCerts = flags.ca.map((path) => Deno.readTextFileSync(path));
if (servers.size === 0) {
  console.error("There is no server to forward to: name one, as in --to 127.0.0.1:2525");
  Deno.exit(2);
}

const files: Record<string, { url: URL; type: string }> = {
  "/": { url: new URL("index.html", import.meta.url), type: "text/html; charset=utf-8" },
  "/page.js": { url: new URL("page.js", import.meta.url), type: "text/javascript; charset=utf-8" },
  "/smtp.js": {
    url: new URL("../../.cache/browser/smtp.js", import.meta.url),
    type: "text/javascript; charset=utf-8",
  },
};

const http = createServer(answer);
const webSockets = new WebSocketServer({
  server: http,
  maxPayload: MAX_MESSAGE,
  perMessageDeflate: false, // mail is mostly base64 and the way to a bridge mostly short
  // A page of another site could use its visitors' bridges otherwise: browsers let it open any WebSocket.
  verifyClient: ({ origin }: { origin?: string }) => origin !== undefined && isAllowed(origin),
});
webSockets.on("connection", forward);
http.listen({ host: flags.host, port: Number(flags.port) }, () => {
  console.log(`Open ${here()} to write to ${[...servers.keys()].join(", ")}`);
});

function parseServer(text: string): [name: string, server: { hostname: string; port: number; tls: boolean }] {
  const [, hostname, port, tls] = text.match(/^\[?([^/]+?)\]?:(\d{1,5})(\/tls)?$/) ?? [];
  if (hostname === undefined) {
    console.error(`--to is HOST:PORT or HOST:PORT/tls: it is ${text}`);
    Deno.exit(2);
  }
  return [text.replace("/tls", "").toLowerCase(), { hostname, port: Number(port), tls: tls !== undefined }];
}

function here(): string {
  const { port } = http.address() as AddressInfo;
  return `http://${flags.host.includes(":") ? `[${flags.host}]` : flags.host}:${port}`;
}

function isAllowed(origin: string): boolean {
  // Not whatever the Host header says: a name of somebody else's may lead here, too (DNS rebinding).
  return [here(), here().replace("//127.0.0.1:", "//localhost:"), ...flags.origin].includes(origin);
}

/** The page, its scripts, and the servers that it may choose from. */
async function answer({ url }: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = files[url ?? ""];
  try {
    if (file !== undefined) {
      const content = await Deno.readFile(file.url);
      response.setHeader("Content-Type", file.type);
      response.setHeader("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'");
      response.end(content);
    } else if (url === "/servers") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify([...servers].map(([name, { tls }]) => ({ name, tls }))));
    } else {
      response.writeHead(404).end("Not here");
    }
  } catch (error) {
    response.writeHead(500).end(`Cannot read ${url}: ${(error as Error).message}`);
  }
}

/** Forwards a WebSocket to the server that its path names, `/smtp/HOST:PORT`, until one of them ends. */
async function forward(webSocket: WebSocket, { url = "" }: IncomingMessage): Promise<void> {
  webSocket.on("error", () => {}); // "close" follows
  const name = decodeURIComponent(url.replace(/^\/smtp\//, "")).toLowerCase();
  const server = servers.get(name);
  // A page is not told the status of a handshake that was refused, but it is told why a WebSocket was closed.
  if (server === undefined) {
    return webSocket.close(1008, `This bridge does not forward to ${shorten(name, 64)}`);
  }
  if (webSockets.clients.size > Number(flags.connections)) {
    return webSocket.close(1013, "This bridge has no connection left: try again later");
  }
  const socket = connect(server, {
    ...(server.tls ? { secureTransport: "on", tls: { caCerts } } : { secureTransport: "off" }),
    allowHalfOpen: true, // what the page has still to say is said
  });
  let last = Date.now();
  const onPass = () => void (last = Date.now());
  const idle = setInterval(() => {
    if (Date.now() - last < IDLE_LIMIT) return;
    webSocket.close(3008, "Nothing has passed for a while");
    void socket.close();
  }, IDLE_CHECK);
  await Promise.allSettled([
    fromPage(webSocket, onPass).pipeTo(socket.writable),
    socket.readable.pipeTo(toPage(webSocket, onPass)),
  ]);
  clearInterval(idle);
  void socket.close();
}

/** What the page sends, read no faster than it is taken: then TCP lets the page wait. */
function fromPage(webSocket: WebSocket, onPass: () => void): ReadableStream<Uint8Array> {
  let wanted = true;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      webSocket.on("message", (data: Uint8Array, binary: boolean) => {
        if (!wanted) return;
        if (!binary) return webSocket.close(1003, "Only binary messages are forwarded");
        onPass();
        controller.enqueue(new Uint8Array(data));
        if (controller.desiredSize! <= 0) webSocket.pause();
      });
      webSocket.on("close", (code: number) => {
        if (!wanted) return;
        // Given up, or cut: the server must not take what it has for the whole.
        if (code === 1000) controller.close();
        else controller.error(new Error(`The page closed the WebSocket with code ${code}`));
      });
    },
    pull: () => webSocket.resume(),
    cancel(error) {
      wanted = false;
      closeFor(webSocket, error);
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING }));
}

/** What the server sends, taken no faster than the page's end of TCP takes it. */
function toPage(webSocket: WebSocket, onPass: () => void): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    write(chunk) {
      onPass();
      return new Promise((resolve, reject) =>
        webSocket.send(chunk, { binary: true }, (error) => error ? reject(error) : resolve())
      );
    },
    close: () => webSocket.close(1000),
    abort: (error) => closeFor(webSocket, error),
  });
}

/** Tells the page why its server is not, or no longer, there. 1014 is "bad gateway". */
function closeFor(webSocket: WebSocket, error: unknown): void {
  webSocket.resume(); // the page's answer to the close has to be read
  const code = error instanceof SocketError && error.code === "timed-out" ? 3008 : 1014;
  webSocket.close(code, shorten(error instanceof Error ? error.message : String(error), 120));
}

/** A close's reason has room for 123 bytes (RFC 6455, section 5.5). */
function shorten(text: string, length: number): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, length);
}
