import { assertEquals, assertThrows } from "@std/assert";
import type { Socket } from "../../src/sockets/socket.ts";
import { assertCanStartTls, type SocketState } from "../../src/sockets/start_tls.ts";
import { test } from "../support/harness.ts";

const READY: SocketState = { handedOver: false, closed: false, reading: false, unread: false, ended: false };

test("assertCanStartTls() says what prevents TLS", () => {
  const socket = (part: object = {}) =>
    ({
      secureTransport: "starttls",
      readable: { locked: false },
      writable: { locked: false },
      ...part,
    }) as unknown as Socket;
  assertCanStartTls(socket(), READY);
  const refused: [string, object, Partial<SocketState>][] = [
    ["the connection is TLS already", { secureTransport: "on" }, {}],
    [`the socket was opened with secureTransport "off"`, { secureTransport: "off" }, {}],
    ["the readable is locked", { readable: { locked: true } }, {}],
    ["the writable is locked", { writable: { locked: true } }, {}],
    ["it was started before", {}, { handedOver: true }],
    ["the socket is closed", {}, { closed: true }],
    ["a read is under way", {}, { reading: true }],
    ["there are bytes not read yet", {}, { unread: true }],
    ["a direction has ended", {}, { ended: true }],
  ];
  for (const [why, part, state] of refused) {
    const check = () => assertCanStartTls(socket(part), { ...READY, ...state });
    assertEquals(assertThrows(check, TypeError).message, `Cannot start TLS: ${why}`);
  }
});
