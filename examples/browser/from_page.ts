/**
 * The bytes that a page sends through the bridge, in no more memory than the bridge has for it.
 *
 * @module
 */
// @ts-types="npm:@types/ws@^8.18"
import type { WebSocket } from "ws";

/** How many bytes a connection buffers for a slow mail server before the page has to wait. */
const MAX_WAITING = 256 * 1024;
/** What a message counts for besides its bytes: one of a single byte takes about as much memory. */
const OVERHEAD = 256;

/**
 * Reads the bytes from the page. A slow reader makes the page wait, through TCP's flow control.
 *
 * @param webSocket The page's WebSocket.
 * @param maxBytes How many bytes it may send. Each message counts for 256 more, here and in what waits.
 * @param onPass Is called with each message.
 * @param onCancel Is called when the mail server has failed.
 * @returns The bytes.
 */
export function fromPage(
  webSocket: WebSocket,
  maxBytes: number,
  onPass: () => void,
  onCancel: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  let wanted = true;
  let received = 0;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      webSocket.on("message", (data: Uint8Array, binary: boolean) => {
        if (!wanted) return;
        if (!binary) return webSocket.close(1003, "Only binary messages are forwarded");
        if ((received += data.length + OVERHEAD) > maxBytes) {
          return webSocket.close(1009, `This bridge forwards up to ${maxBytes} bytes`);
        }
        onPass();
        controller.enqueue(new Uint8Array(data));
        if (controller.desiredSize! <= 0) webSocket.pause();
      });
      webSocket.on("close", (code: number) => {
        if (!wanted) return;
        // Cancelled or cut: the server must not take what it has for a whole message.
        if (code === 1000) controller.close();
        else controller.error(new Error(`The page closed the WebSocket with code ${code}`));
      });
    },
    pull: () => webSocket.resume(),
    cancel(error) {
      wanted = false;
      onCancel(error);
    },
  }, { highWaterMark: MAX_WAITING, size: (chunk) => chunk.length + OVERHEAD });
}
