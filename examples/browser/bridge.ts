/**
 * Sends mail from a web page. A page can open WebSockets and no other sockets: this server accepts them and forwards their
 * bytes over TCP, to the mail servers that it was given and to no others. It also serves a page that sends a message with a
 * file and shows the progress.
 *
 * ```sh
 * deno bundle --platform browser --output smtp.js smtp.ts
 * deno run -A bridge.ts --to smtp.example.com:465/tls --to 127.0.0.1:2525
 * ```
 * Then open the URL that it prints. In this repository, `deno task example:browser --to HOST:PORT` runs both commands.
 *
 * - `--to HOST:PORT`: a server to forward to; with `/tls`, the bridge connects to it over TLS, which a page cannot do.
 * - `--ca FILE`: certificate authorities to trust besides the system's, PEM.
 * - `--host`, `--port`: the address to listen on. Default: 127.0.0.1 and 8025; port 0 means any free port.
 * - `--origin URL`: another site whose pages may use the bridge. Default: only the page that is served here.
 *   Another name of this server is one, too.
 * - `--connections N`: the maximum number of connections at a time. Default: 100.
 * - `--per-client N`: the same for each address that pages come from. Default: 20. Behind another server, which has one address
 *   for all, it has to be as many as `--connections`.
 * - `--bytes N`: the maximum number of bytes that a page may send in a connection. Default: 268435456, 256 MiB. Each
 *   WebSocket message counts for 256 more.
 * - `--library FILE`: the bundled library. Default: smtp.js in the folder of this file.
 *
 * Anyone who can reach the bridge can talk to the mail servers as if from this machine. Before it listens on a public
 * address, put a server in front of it that does `https:`, authenticates users, and limits how long a request may take: Deno's
 * HTTP server ignores Node's options for that.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
// Deno's own server has no backpressure for WebSockets: with a mail server slower than the page, memory would fill up.
// @ts-types="npm:@types/ws@^8.18"
import { type WebSocket, WebSocketServer } from "ws";
import { connect, SocketError } from "@streams/smtp/sockets";
import { fromPage } from "./from_page.ts";

/** The largest WebSocket message: the library sends no more than 64 KiB at a time. */
const MAX_MESSAGE = 65_536;
/** How long a connection may be idle. SMTP's longest timeout is 10 minutes (RFC 5321, section 4.5.3.2). */
const IDLE_LIMIT = 15 * 60 * 1000;
/** How often idle connections are looked for. */
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
    "per-client": { type: "string", default: "20" },
    bytes: { type: "string", default: "268435456" },
    library: { type: "string", default: new URL("smtp.js", import.meta.url).pathname },
  },
});
const servers = new Map(flags.to.map(parseServer));
const caCerts = flags.ca.map((path) => Deno.readTextFileSync(path));
if (servers.size === 0) {
  console.error("No server to forward to: give one, as in --to 127.0.0.1:2525");
  Deno.exit(2);
}

const maxConnections = parseCount("connections", flags.connections);
const maxPerClient = parseCount("per-client", flags["per-client"]);
const maxBytes = parseCount("bytes", flags.bytes);
const allowed = flags.origin.map((url) => new URL(url).origin);
/** The connections that are being forwarded, by the address of the page. */
const forwarded = new Map<string, number>();

const files = new Map<string, { path: string | URL; type: string }>([
  ["/", { path: new URL("index.html", import.meta.url), type: "text/html; charset=utf-8" }],
  ["/page.js", { path: new URL("page.js", import.meta.url), type: "text/javascript; charset=utf-8" }],
  ["/smtp.js", { path: flags.library, type: "text/javascript; charset=utf-8" }],
]);

const http = createServer(answer);
const webSockets = new WebSocketServer({
  server: http,
  maxPayload: MAX_MESSAGE,
  perMessageDeflate: false, // mail is mostly base64, and the network to a bridge mostly fast
  // Browsers let every page open any WebSocket: without this check, any site could use its visitors' bridges. Those that are
  // refused below count as well, until they are gone.
  verifyClient: ({ req }: { req: IncomingMessage }) =>
    origins().includes(only(req, "origin") ?? "") && webSockets.clients.size < 2 * maxConnections,
});
webSockets.on("connection", (webSocket: WebSocket, request: IncomingMessage) => {
  webSocket.on("error", () => {}); // a "close" event follows
  // Whatever a page does, the bridge goes on for the others.
  forward(webSocket, request).catch((error) => closeFor(webSocket, error));
});
http.listen({ host: flags.host, port: Number(flags.port) }, () => {
  console.log(`Open ${here()} to write to ${[...servers.keys()].join(", ")}`);
});

function parseServer(text: string): [name: string, server: { hostname: string; port: number; tls: boolean }] {
  const [, hostname, port, tls] = text.match(/^\[?([^/]+?)\]?:(\d{1,5})(\/tls)?$/) ?? [];
  if (hostname === undefined) {
    console.error(`--to must be HOST:PORT or HOST:PORT/tls, the current value is ${text}`);
    Deno.exit(2);
  }
  return [text.replace("/tls", "").toLowerCase(), { hostname, port: Number(port), tls: tls !== undefined }];
}

function here(): string {
  const { port } = http.address() as AddressInfo;
  return `http://${flags.host.includes(":") ? `[${flags.host}]` : flags.host}:${port}`;
}

function parseCount(name: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  console.error(`--${name} must be a number above 0, the current value is ${text}`);
  Deno.exit(2);
}

/** The one value of a header; `undefined` if there is none, or more than one. */
function only({ rawHeaders }: IncomingMessage, header: string): string | undefined {
  const values = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === header);
  return values.length === 1 ? values[0] : undefined;
}

/** Where the pages come from that may use the bridge. */
function origins(): string[] {
  return [here(), here().replace("//127.0.0.1:", "//localhost:"), ...allowed];
}

/** Serves the page, its scripts, and the list of servers. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = "" } = request;
  const file = files.get(url);
  response.setHeader("X-Content-Type-Options", "nosniff");
  try {
    // A foreign name may resolve to this address (DNS rebinding): its pages learn nothing from here.
    if (!origins().some((url) => new URL(url).host === only(request, "host"))) {
      response.writeHead(421).end("Not here");
    } else if (method !== "GET" && method !== "HEAD") response.writeHead(405).end("Only GET");
    else if (file !== undefined) {
      const content = await Deno.readFile(file.path);
      response.setHeader("Content-Type", file.type);
      response.setHeader("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'");
      response.end(content);
    } else if (url === "/servers") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify([...servers].map(([name, { tls }]) => ({ name, tls }))));
    } else {
      response.writeHead(404).end("Not found");
    }
  } catch (error) {
    console.error(`Cannot answer: ${(error as Error).message}`);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}

/** The name of a server in a path, `/smtp/HOST:PORT`. Only what was given with `--to` is a server. */
function nameIn(url: string): string {
  try {
    return decodeURIComponent(url.match(/^\/smtp\/([^?#]+)$/)?.[1] ?? "").toLowerCase();
  } catch {
    return ""; // a percent sign that escapes nothing
  }
}

/** Forwards a WebSocket to the server in its path until either side ends. */
async function forward(
  webSocket: WebSocket,
  { url = "", socket: { remoteAddress } }: IncomingMessage,
): Promise<void> {
  const name = nameIn(url);
  const server = servers.get(name);
  // A page cannot see why a handshake was refused, but it can see why a WebSocket was closed.
  if (server === undefined) {
    return webSocket.close(1008, `This bridge does not forward to ${shorten(name, 64)}`);
  }
  const client = String(remoteAddress);
  const count = forwarded.get(client) ?? 0;
  const all = forwarded.values().reduce((sum, count) => sum + count, 0);
  if (count >= maxPerClient || all >= maxConnections) {
    return webSocket.close(1013, "This bridge has too many connections: try again later");
  }
  forwarded.set(client, count + 1);
  try {
    await forwardTo(server, webSocket);
  } finally {
    const left = forwarded.get(client)! - 1;
    if (left > 0) forwarded.set(client, left);
    else forwarded.delete(client);
  }
}

async function forwardTo(
  server: { hostname: string; port: number; tls: boolean },
  webSocket: WebSocket,
): Promise<void> {
  const { hostname, port } = server;
  const socket = connect({ hostname, port }, {
    ...(server.tls ? { secureTransport: "on", tls: { caCerts } } : { secureTransport: "off" }),
    allowHalfOpen: true, // the page may go on sending after the server has ended
  });
  let last = Date.now();
  const onPass = () => void (last = Date.now());
  const idle = setInterval(() => {
    if (Date.now() - last < IDLE_LIMIT) return;
    webSocket.close(3008, "The connection was idle for too long");
    void socket.close();
  }, IDLE_CHECK);
  await Promise.allSettled([
    fromPage(webSocket, maxBytes, onPass, (error) => closeFor(webSocket, error)).pipeTo(socket.writable),
    socket.readable.pipeTo(toPage(webSocket, onPass)),
  ]);
  clearInterval(idle);
  void socket.close();
}

/** The bytes to the page, written no faster than the page's TCP connection accepts them. */
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

/** Tells the page why its connection to the server failed. 1014 is "bad gateway". */
function closeFor(webSocket: WebSocket, error: unknown): void {
  webSocket.resume(); // so that the page's close frame is read
  const code = error instanceof SocketError && error.code === "timed-out" ? 3008 : 1014;
  webSocket.close(code, shorten(error instanceof Error ? error.message : String(error), 120));
}

/** Shortens a reason: a close frame has room for 123 bytes (RFC 6455, section 5.5). */
function shorten(text: string, length: number): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, length);
}
