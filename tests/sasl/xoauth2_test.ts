import { assertEquals, assertThrows } from "@std/assert";
import { encodeBase64 } from "../../src/sasl/base64.ts";
import { xoauth2 } from "../../src/sasl/xoauth2.ts";
import { test } from "../support/unwatched.ts";

// https://developers.google.com/gmail/imap/xoauth2-protocol
const USER = "someuser@example.com";
const TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
const bytes = (text: string) => new TextEncoder().encode(text);

test("xoauth2() sends the initial response of Google's example", () => {
  const mechanism = xoauth2({ user: USER, accessToken: TOKEN });
  assertEquals(mechanism.name, "XOAUTH2");
  assertEquals(
    encodeBase64(mechanism.initialResponse),
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==",
  );
});

test("xoauth2() answers Google's error challenge with nothing and shows its reason", () => {
  const mechanism = xoauth2({ user: USER, accessToken: TOKEN });
  mechanism.finish?.();
  const challenge = '{"status":"401","schemes":"bearer mac","scope":"https://mail.google.com/"}\n';
  assertEquals(mechanism.respond(bytes(challenge)), new Uint8Array());
  assertEquals(mechanism.refusal, "status 401, scope https://mail.google.com/");
  assertThrows(() => mechanism.finish?.(), Error, "status 401");
  assertThrows(() => mechanism.respond(new Uint8Array()), Error, "second challenge");
});

test("xoauth2() refuses a token or a name that its response cannot hold", () => {
  assertThrows(() => xoauth2({ user: USER, accessToken: "a\x01b" }), TypeError, "visible ASCII");
  assertThrows(() => xoauth2({ user: "a\x01b", accessToken: "a" }), TypeError, "control characters");
});
