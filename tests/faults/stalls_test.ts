/** Each phase stalled forever ends at its limit. */
import { test } from "../support/unwatched.ts";
import { stalls } from "./stalls.ts";

for (const { name, run } of stalls) test(name, run);
