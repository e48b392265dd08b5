/**
 * Sockets in the shape of the WinterTC Sockets API, on every runtime.
 *
 * @module
 */
export { connect } from "./connect.ts";
export { type MemorySocketOptions, memorySocketPair } from "./memory.ts";
export * from "./socket.ts";
export type { StreamPair } from "./stream_pair.ts";
export { type OpenSocket, type SocketSource, toSocket, type ToSocketOptions } from "./to_socket.ts";
export {
  connectWebSocket,
  type ConnectWebSocketOptions,
  webSocketSocket,
  type WebSocketSocketOptions,
} from "./websocket/connect.ts";
