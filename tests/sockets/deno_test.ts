import { connect } from "../../src/sockets/connect.ts";
import { runtime, test } from "../support/harness.ts";
import { assertFails } from "./conformance.ts";

if (runtime === "deno") {
  test("connect() on Deno gives up connecting to a server that does not accept", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const address = { hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
    // A backlog of 1 takes 2 connections; the SYN of the third gets no answer.
    const waiting = [connect(address), connect(address)];
    await Promise.all(waiting.map((socket) => socket.opened));
    const controller = new AbortController();
    const socket = connect(address, { signal: controller.signal });
    await waiting[0]!.close();
    controller.abort();
    await assertFails(socket.opened, "aborted");
    await assertFails(socket.closed, "aborted");
    await waiting[1]!.close();
  });
} else {
  test("connect() on Deno", { skip: "it needs Deno" }, () => {});
}
