/**
 * Accepts every message and throws it away, as `smtp-sink` does, and offers TLS, AUTH and CHUNKING, which `smtp-sink` lacks. It
 * does as little as possible, so that it is faster than every sender.
 *
 * ```
 * sink [--hide CHUNKING,PIPELINING] [--cert FILE --key FILE [--tls]]
 * ```
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import process from "node:process";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import { announce } from "./ready.ts";
import { SinkSession } from "./sink_session.ts";

const { values: flags } = parseArgs({
  args: process.argv.slice(2),
  options: {
    hide: { type: "string", default: "" },
    cert: { type: "string" },
    key: { type: "string" },
    tls: { type: "boolean", default: false },
  },
});

const GREETING = "220 sink.example.org ESMTP\r\n";
const hidden = flags.hide.split(",");
const offers = ["PIPELINING", "8BITMIME", "CHUNKING", "AUTH PLAIN"].filter((offer) =>
  !hidden.includes(offer)
);
const context: SecureContext | undefined = flags.cert === undefined
  ? undefined
  : createSecureContext({ cert: readFileSync(flags.cert), key: readFileSync(flags.key!) });

/** Serves a connection after its greeting or its handshake. */
function serve(socket: Socket, offers: readonly string[]): void {
  const session = new SinkSession(offers);
  socket.on("error", () => {}); // senders may end their connection in any way
  socket.on("data", (chunk: Buffer) => {
    const replies = session.push(chunk);
    if (replies !== "") socket.write(replies, "latin1");
    if (session.request === "quit") socket.end();
    if (session.request !== "starttls") return;
    socket.removeAllListeners("data");
    serve(protect(socket), offers.filter((offer) => offer !== "STARTTLS"));
  });
}

function protect(socket: Socket): Socket {
  return new TLSSocket(socket, { isServer: true, secureContext: context! });
}

const server = createServer({ noDelay: true }, (raw) => {
  const socket = flags.tls ? protect(raw) : raw;
  socket.write(GREETING, "latin1");
  const withoutStartTls = context === undefined || flags.tls || hidden.includes("STARTTLS");
  serve(socket, withoutStartTls ? offers : [...offers, "STARTTLS"]);
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
