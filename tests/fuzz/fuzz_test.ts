/**
 * Fuzzes each target for a moment. These are the same cases each time; `deno task fuzz` plays others, for as long as one likes.
 */
import { assertEquals } from "@std/assert";
import { test } from "../support/unwatched.ts";
import { Strays } from "./strays.ts";
import { Notes } from "./target.ts";
import { play, targets } from "./targets.ts";

/** How many cases take about a second. */
const CASES: Readonly<Record<string, number>> = {
  "reply-decoder": 2_000,
  "command-parser": 3_000,
  codecs: 1_000,
  addresses: 2_000,
  extensions: 3_000,
  sasl: 100,
  server: 200,
  channel: 300,
  contents: 60,
  login: 60,
  client: 300,
};

for (const target of targets) {
  test(`fuzz: ${target.name}`, { timeout: 300_000 }, async () => {
    using strays = new Strays();
    strays.listen();
    const found: string[] = [];
    for (let seed = 1; seed <= CASES[target.name]!; seed++) {
      const find = await play(target, seed, new Notes(strays));
      if (find !== undefined) {
        found.push(`deno task fuzz --target ${target.name} --seed ${seed}: ${find.message}`);
      }
    }
    assertEquals(found, []);
  });

  test(`fuzz: ${target.name} is the same each time it is played`, { timeout: 300_000 }, async () => {
    using strays = new Strays();
    strays.listen();
    for (let seed = 1; seed <= 20; seed++) {
      const [first, second] = [new Notes(strays), new Notes(strays)];
      for (const notes of [first, second]) await play(target, seed, notes);
      assertEquals([second.lines, second.counts], [first.lines, first.counts], `seed ${seed}`);
    }
  });
}
