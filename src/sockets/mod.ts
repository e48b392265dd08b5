/**
 * Sockets in the shape of the WinterTC Sockets API, on every runtime.
 *
 * @module
 */
export * from "./connect.ts";
export * from "./given.ts";
export { type MemorySocketOptions, memorySocketPair } from "./memory.ts";
export * from "./socket.ts";
export {
  connectWebSocket,
  type ConnectWebSocketOptions,
  webSocketSocket,
  type WebSocketSocketOptions,
} from "./websocket.ts";
