/**
 * The sweep in memory, at some of its places: `deno task faults -- --what sweep` tries them all.
 */
import { assertEquals } from "@std/assert";
import { Strays } from "../fuzz/strays.ts";
import { test } from "../support/unwatched.ts";
import { showFigures } from "./books.ts";
import { sweepInMemory } from "./sweep.ts";

test("SmtpClient reports what the server has truly taken, whatever byte the connection is cut at", async () => {
  using strays = new Strays();
  strays.listen();
  const { figures, violations } = await sweepInMemory({ share: 0.01 });
  console.log(showFigures("sweep in memory", figures));
  assertEquals(violations, []);
  assertEquals(strays.take(), []);
  const { wrong, imprecise, lost, doubled, torn } = figures;
  assertEquals({ wrong, imprecise, lost, doubled, torn }, {
    wrong: 0,
    imprecise: 0,
    lost: 0,
    doubled: 0,
    torn: 0,
  });
  assertEquals(figures.unknown > 0 && figures.received > 0, true, "nothing was tried");
});
