import { assertEquals, assertThrows } from "@std/assert";
import { google, microsoft } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";

test("microsoft() names the token endpoint of a directory", () => {
  const base = "https://login.microsoftonline.com";
  assertEquals(microsoft().tokenEndpoint, `${base}/common/oauth2/v2.0/token`);
  assertEquals(microsoft("contoso.com").tokenEndpoint, `${base}/contoso.com/oauth2/v2.0/token`);
  assertEquals(google.tokenEndpoint, "https://oauth2.googleapis.com/token");
});

test("microsoft() lets no directory change the host or the path", () => {
  for (const tenant of ["", ".", "..", "a/b", "a?b", "@evil.example", "a b"]) {
    assertThrows(() => microsoft(tenant), TypeError);
  }
});
