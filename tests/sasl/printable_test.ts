import { assertEquals } from "@std/assert";
import { printable } from "../../src/sasl/printable.ts";
import { test } from "../support/harness.ts";

test("printable() keeps visible ASCII and spaces, up to a length", () => {
  assertEquals(printable("a b~", 10), "a b~");
  assertEquals(printable("\x1b\x7fé😀", 10), "????");
  assertEquals(printable("abcdef", 3), "abc");
});
