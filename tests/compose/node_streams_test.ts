import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadLibrary } from "../../src/compose/node_streams.ts";
import { test } from "../support/harness.ts";

test("loadLibrary() says what is missing, and what to do about it", async () => {
  assertEquals(await loadLibrary("a library", () => Promise.resolve(1)), 1);
  const cause = new Error("No such module");
  const error = await assertRejects(
    () => loadLibrary("a library", () => Promise.reject(cause)),
    TypeError,
  ) as Error;
  assert(error.message.startsWith("Cannot load a library: ") && error.message.includes("nodejs_compat"));
  assertEquals(error.cause, cause);
});
