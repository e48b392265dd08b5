import { assertEquals } from "@std/assert";
import { escapeSaslName } from "../../src/sasl/sasl_name.ts";
import { test } from "../support/harness.ts";

test("escapeSaslName() escapes the comma and the equals sign, once", () => {
  assertEquals(escapeSaslName("a,b=c,=2C"), "a=2Cb=3Dc=2C=3D2C");
  assertEquals(escapeSaslName("user@example.com"), "user@example.com");
});
