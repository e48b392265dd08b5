/**
 * The soak, for a moment: `deno task faults -- --what soak` takes its time, and `deno task bench:memory` prints it.
 */
import { assertEquals } from "@std/assert";
import { test } from "../support/unwatched.ts";
import { showSoaked, soak } from "./soak.ts";

/** Much less than what stays of a connection, a message or a pool if anything does. */
const LEAK = 3e6;

test("Connections, messages and pools leave nothing behind", async () => {
  for (const step of await soak({ connections: 100, secured: 20, messages: 2_000, pools: 20 })) {
    console.log(showSoaked(step));
    const { resources, files, growth } = step;
    assertEquals(resources <= 0 && files <= 0 && growth < LEAK, true, showSoaked(step));
  }
});
