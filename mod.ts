/**
 * SMTP on web streams: a client that keeps whole transactions in flight and reports exactly what happened to each message. One
 * source for Deno, Bun, Node and every other runtime that has web streams.
 *
 * @example A first mail
 * ```ts ignore
 * import { sendMail } from "@streams/smtp";
 *
 * const receipt = await sendMail(
 *   { hostname: "smtp.example.com", auth: { user: "me", pass: "secret" } },
 *   { from: "me@example.com", to: ["you@example.org"] },
 *   "Subject: Hi\r\n\r\nHello",
 * );
 * console.log(receipt.accepted, receipt.queueId);
 * ```
 *
 * @module
 */
export * from "./src/client/channel.ts";
export * from "./src/client/client.ts";
export type { Envelope, Recipient } from "./src/client/envelope.ts";
export type { Message, MessageStream } from "./src/client/content.ts";
export type { ContentEncoder } from "./src/client/content_encoder.ts";
export type { MessageWriter } from "./src/client/message_writer.ts";
export type {
  AnonymousAuth,
  Auth,
  AuthPreferences,
  ExternalAuth,
  MechanismAuth,
  PasswordAuth,
  Progress,
  Security,
  SendOptions,
  SmtpChannelOptions,
  SmtpClientOptions,
  Timeouts,
  TokenAuth,
} from "./src/client/options.ts";
export * from "./src/client/receipt.ts";
export * from "./src/client/send_mail.ts";
export type { XclientAttributes, XforwardAttributes } from "./src/client/xclient.ts";
export type { NamedAddress } from "./src/client/address_list.ts";
export type { EsmtpParameters } from "./src/core/command.ts";
export * from "./src/core/extensions.ts";
export type {
  DeliverBy,
  DsnRequest,
  MailParameters,
  Notify,
  NotifyCondition,
  Priority,
  RcptParameters,
} from "./src/core/parameters.ts";
export { ProtocolError } from "./src/core/errors.ts";
export { Reply } from "./src/core/reply.ts";
export type { ReplyJson, ReplyOptions } from "./src/core/reply.ts";
export type { ReplyDecoderOptions } from "./src/core/reply_decoder.ts";
export * from "./src/errors.ts";
export * from "./src/pool/mod.ts";
export type { ChannelBinding } from "./src/sasl/channel_binding.ts";
export type * from "./src/sasl/mechanism.ts";
export * from "./src/sockets/socket.ts";
export type { StreamPair } from "./src/sockets/stream_pair.ts";
export type { OpenSocket, SocketSource } from "./src/sockets/to_socket.ts";
export { consoleTrace, formatTrace, loggerTrace } from "./src/trace.ts";
export type { Logger, SessionState, Trace, TraceEvent } from "./src/trace.ts";
