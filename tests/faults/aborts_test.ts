/**
 * Aborts at some of the places where they can come: `deno task faults -- --what aborts` tries them all.
 */
import { assertEquals } from "@std/assert";
import { Strays } from "../fuzz/strays.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { test } from "../support/unwatched.ts";
import { abortInMemory, abortOverTcp } from "./aborts.ts";
import { showFigures } from "./books.ts";

for (
  const [where, abort] of [
    ["in memory", () => abortInMemory({ share: 0.003 })],
    ["over TCP", () => abortOverTcp({ share: 0.02 })],
  ] as const
) {
  test(`SmtpClient reports what the server has truly taken, whenever it is aborted, ${where}`, async () => {
    using strays = new Strays();
    strays.listen();
    const { figures, violations } = await abort();
    console.log(showFigures(`aborts ${where}`, figures));
    assertEquals(violations, []);
    assertEquals(strays.take(), []);
    const { wrong, imprecise, lost, doubled, torn } = figures;
    assertEquals([wrong, imprecise, lost, doubled, torn], [0, 0, 0, 0, 0]);
    assertEquals(figures.unknown > 0 && figures.received > 0, true, "nothing was tried");
  });
}

test("SmtpClient.connect() closes the caller's socket if its signal is aborted already", async () => {
  const [socket, peer] = memorySocketPair();
  await rejectsWith("aborted", () => SmtpClient.connect({ socket, signal: AbortSignal.abort() }));
  await socket.closed.catch(() => {});
  await peer.readable.getReader().read().catch(() => {});
  await peer.close().catch(() => {});
});
