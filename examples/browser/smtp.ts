/**
 * The part of the library that a page needs. `deno bundle` makes one ES module of it, `smtp.js`:
 *
 * ```sh
 * deno bundle --platform browser --output smtp.js smtp.ts
 * ```
 *
 * @module
 */
export { SmtpClient, SmtpError } from "@streams/smtp";
export { connectWebSocket, webSocketSocket } from "@streams/smtp/sockets";
