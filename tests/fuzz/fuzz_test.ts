/**
 * Sessions with a server that answers anything. These are the same ones each time; `deno task fuzz` plays others, for as long as
 * one likes.
 */
import { assertEquals } from "@std/assert";
import { test } from "../support/unwatched.ts";
import { playSession } from "./session.ts";
import { Strays } from "./strays.ts";

const SESSIONS = 300;

test("SmtpClient settles every call truly against a server that answers anything", async () => {
  using strays = new Strays();
  strays.listen();
  const found: string[] = [];
  for (let seed = 1; seed <= SESSIONS; seed++) {
    const { violations } = await playSession(seed, strays);
    if (violations.length > 0) found.push(`deno task fuzz --seed ${seed}: ${violations.join("; ")}`);
  }
  assertEquals(found, []);
});

test("A fuzzed session is the same each time it is played", async () => {
  using strays = new Strays();
  strays.listen();
  for (let seed = 1; seed <= 30; seed++) {
    const [first, second] = [await playSession(seed, strays), await playSession(seed, strays)];
    assertEquals(second.log, first.log, `seed ${seed}`);
  }
});
