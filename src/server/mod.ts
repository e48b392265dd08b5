/**
 * An SMTP server (RFC 5321): strict with clients, with every question of policy left to handlers.
 *
 * @example Take mail and print it
 * ```ts
 * import { serve } from "@streams/smtp/server";
 *
 * await using server = serve({ serverName: "mx.example.org" }, {
 *   async message(content, { envelope }) {
 *     const text = await new Response(content as ReadableStream<Uint8Array<ArrayBuffer>>).text();
 *     console.log(`From ${envelope.from} to ${envelope.to.join(", ")}:\n${text}`);
 *   },
 * });
 * console.log("Listening on port", (await server.listening).port);
 * ```
 *
 * @module
 */
export type { Mailbox } from "../core/address.ts";
export type { EsmtpParameters } from "../core/command.ts";
export { Reply, type ReplyJson, type ReplyOptions } from "../core/reply.ts";
export type { SecureTransport, Socket, SocketInfo, TlsInfo, TlsOptions } from "../sockets/socket.ts";
export type { ClientCertificate, ClientNames } from "./client_certificate.ts";
export * from "./handlers.ts";
export type {
  ServeOptions,
  ServerAddress,
  ServerTimeouts,
  ServerTlsOptions,
  ServeSocketOptions,
} from "./options.ts";
export * from "./serve.ts";
export { serveSocket } from "./serve_socket.ts";
