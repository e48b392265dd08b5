import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { Connection } from "../../src/sockets/connection.ts";
import { settleTls } from "../../src/sockets/settings.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { assertCanStartTls, handOver, type Standing } from "../../src/sockets/start_tls.ts";
import { test } from "../support/harness.ts";

const SETTINGS = settleTls({}, "mx.test");
const READY: Standing = { handedOver: false, closed: false, reading: false, unread: false, ended: false };

test("assertCanStartTls() says what is in the way", () => {
  const socket = (part: object = {}) =>
    ({
      secureTransport: "starttls",
      readable: { locked: false },
      writable: { locked: false },
      ...part,
    }) as unknown as Socket;
  assertCanStartTls(socket(), READY);
  const refused: [string, object, Partial<Standing>][] = [
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
  for (const [why, part, standing] of refused) {
    const check = () => assertCanStartTls(socket(part), { ...READY, ...standing });
    assertEquals(assertThrows(check, TypeError).message, `Cannot start TLS: ${why}`);
  }
});

test("handOver() waits for the connection and for the end of its streams, then does the handshake", async () => {
  const steps: string[] = [];
  const secure = connection(steps, "secure");
  const plain = connection(steps, "plain", () => Promise.resolve(secure));
  const end = () => Promise.resolve(void steps.push("end"));
  const from = { opening: Promise.resolve(plain), giveUp: new AbortController(), end };
  assertStrictEquals(await handOver(from, SETTINGS, new AbortController().signal), secure);
  assertEquals(steps, ["end", "plain: startTls"]);
});

test("handOver() gives the opening up with its signal", async () => {
  const giveUp = new AbortController();
  const controller = new AbortController();
  const { promise: opening, reject } = Promise.withResolvers<Connection>();
  giveUp.signal.addEventListener("abort", () => reject(giveUp.signal.reason));
  const end = () => Promise.reject(new Error("It is not to get here"));
  const done = assertRejects(() => handOver({ opening, giveUp, end }, SETTINGS, controller.signal));
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await done, reason);
});

test("handOver() closes the connection when it is given up before the handshake", async () => {
  for (const writesWait of [false, true]) {
    const steps: string[] = [];
    const controller = new AbortController();
    const ended = Promise.withResolvers<void>();
    const plain = connection(steps, "plain");
    plain.close = () => (steps.push("close"), ended.reject(new Error("The write failed")));
    const waits = Promise.withResolvers<void>();
    const end = () => (waits.resolve(), ended.promise);
    ended.promise.catch(() => {});
    const from = { opening: Promise.resolve(plain), giveUp: new AbortController(), end };
    const done = assertRejects(() => handOver(from, SETTINGS, controller.signal));
    if (writesWait) await waits.promise;
    controller.abort(new Error("enough"));
    await done;
    assertEquals(steps[0], "close");
    assertEquals(steps.includes("plain: startTls"), false);
  }
});

test("handOver() closes the connection when the handshake fails", async () => {
  const steps: string[] = [];
  const failure = new Error("handshake");
  const plain = connection(steps, "plain", () => Promise.reject(failure));
  const from = {
    opening: Promise.resolve(plain),
    giveUp: new AbortController(),
    end: () => Promise.resolve(),
  };
  const error = await assertRejects(() => handOver(from, SETTINGS, new AbortController().signal));
  assertStrictEquals(error, failure);
  assertEquals(steps, ["plain: startTls", "plain: close"]);
});

function connection(steps: string[], name: string, startTls?: () => Promise<Connection>): Connection {
  return {
    info: {},
    read: () => null,
    write() {},
    closeWrite() {},
    close: () => void steps.push(`${name}: close`),
    startTls: () => (steps.push(`${name}: startTls`), startTls!()),
  };
}
