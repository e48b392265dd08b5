/**
 * What a page needs of the library. It becomes one ES module, `smtp.js`:
 *
 * ```sh
 * deno bundle --platform browser --output .cache/browser/smtp.js examples/browser/smtp.ts
 * ```
 *
 * @module
 */
export { SmtpClient, SmtpError } from "../../mod.ts";
export { connectWebSocket, webSocketSocket } from "../../src/sockets/websocket.ts";
