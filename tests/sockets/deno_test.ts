import { assertThrows } from "@std/assert";
import { runtime, test } from "../support/harness.ts";
import { assertFails, testConformance } from "./conformance.ts";

if (runtime === "deno") {
  const { connectDeno } = await import("../../src/sockets/deno.ts");

  // Deno (2.9.6) drops a TLS connection in good order, and so, in a handshake, not before the peer has said something.
  testConformance({ name: "connectDeno()", connect: connectDeno, lingersInHandshake: true });

  test("connectDeno() refuses a localAddress, which Deno.connect() would ignore", () => {
    const options = { localAddress: "127.0.0.2" };
    const open = () => connectDeno({ hostname: "127.0.0.1", port: 1 }, options);
    assertThrows(open, TypeError, `"localAddress" cannot be honoured`);
  });

  test("connectDeno() gives up connecting to a server that does not accept", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const address = { hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
    // A backlog of 1 takes 2 connections; the SYN of the third gets no answer.
    const waiting = [connectDeno(address), connectDeno(address)];
    await Promise.all(waiting.map((socket) => socket.opened));
    const controller = new AbortController();
    const socket = connectDeno(address, { signal: controller.signal });
    await waiting[0]!.close();
    controller.abort();
    await assertFails(socket.opened, "aborted");
    await assertFails(socket.closed, "aborted");
    await waiting[1]!.close();
  });
} else {
  test("connectDeno()", { skip: "it needs Deno" }, () => {});
}
