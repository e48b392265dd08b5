/**
 * The sweep at some of its places: `deno task faults -- --what sweep` tries them all.
 */
import { assertEquals } from "@std/assert";
import { Strays } from "../fuzz/strays.ts";
import { test } from "../support/unwatched.ts";
import { showFigures } from "./books.ts";
import { sweepInMemory, sweepOverTcp } from "./sweep.ts";

for (
  const [where, sweep] of [
    ["in memory", () => sweepInMemory({ share: 0.0015 })],
    ["over TCP", () => sweepOverTcp({ share: 0.0005 })],
  ] as const
) {
  test(`SmtpClient reports what the server has truly taken, whatever byte is cut at, ${where}`, async () => {
    using strays = new Strays();
    strays.listen();
    const { figures, violations } = await sweep();
    console.log(showFigures(`sweep ${where}`, figures));
    assertEquals(violations, []);
    assertEquals(strays.take(), []);
    const { wrong, imprecise, lost, doubled, torn } = figures;
    assertEquals([wrong, imprecise, lost, doubled, torn], [0, 0, 0, 0, 0]);
    assertEquals(figures.unknown > 0 && figures.received > 0, true, "nothing was tried");
  });
}
