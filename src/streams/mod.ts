/**
 * The bytes of SMTP, as streams and without them: message content as `DATA` carries it, and replies.
 *
 * - {@linkcode DataEncoder} and {@linkcode DataEncoderStream} make all line ends CRLF, stuff dots and end the data.
 * - {@linkcode DataDecoder} and {@linkcode DataDecoderStream} are the inverse.
 * - {@linkcode readReplies} and {@linkcode ReplyDecoderStream} turn a server's bytes into {@linkcode Reply} objects.
 *
 * @example Encode, and decode again
 * ```ts
 * import { DataDecoderStream, DataEncoderStream } from "@streams/smtp/streams";
 * import { toText } from "@std/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const message = new Blob(["Subject: Hi\n\n.hidden\n"]).stream()
 *   .pipeThrough(new DataEncoderStream()) // "Subject: Hi\r\n\r\n..hidden\r\n.\r\n"
 *   .pipeThrough(new DataDecoderStream());
 * assertEquals(await toText(message), "Subject: Hi\r\n\r\n.hidden\r\n");
 * ```
 *
 * @module
 */
export { Reply, type ReplyJson, type ReplyOptions } from "../core/reply.ts";
export { ReplyDecoder, type ReplyDecoderOptions } from "../core/reply_decoder.ts";
export { ProtocolError } from "../core/errors.ts";
export * from "./data_decoder.ts";
export * from "./data_encoder.ts";
export * from "./reply_stream.ts";
