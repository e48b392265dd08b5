import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { encodeBase64 } from "../../src/sasl/base64.ts";
import { oauthBearer } from "../../src/sasl/oauth_bearer.ts";
import { test } from "../support/unwatched.ts";

// RFC 7628, section 4.1.
const USER = "user@example.com";
const TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

test("oauthBearer() sends the initial response of RFC 7628, section 4.1", () => {
  const mechanism = oauthBearer({ user: USER, accessToken: TOKEN }, {
    hostname: "server.example.com",
    port: 143,
  });
  assertEquals(mechanism.name, "OAUTHBEARER");
  assertEquals(
    encodeBase64(mechanism.initialResponse),
    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB",
  );
});

test("oauthBearer() says no host and no port where it knows none, and escapes the name", () => {
  assertEquals(
    text(oauthBearer({ user: "a,b=c", accessToken: "t" }).initialResponse),
    "n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01",
  );
});

test("oauthBearer() answers the challenge of RFC 7628, section 4.3, with 0x01 and shows its reason", () => {
  const mechanism = oauthBearer({ user: USER, accessToken: TOKEN });
  assertEquals(mechanism.refusal, undefined);
  mechanism.finish?.();
  const response = mechanism.respond(
    bytes(
      '{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}',
    ),
  );
  assertEquals(response, Uint8Array.of(1));
  assertEquals(mechanism.refusal, "status invalid_token, scope example_scope");
});

test("oauthBearer() does not believe a server that has refused the token and then accepts it", () => {
  const mechanism = oauthBearer({ user: USER, accessToken: TOKEN });
  mechanism.respond(bytes('{"status":"401"}'));
  assertThrows(() => mechanism.finish?.(), Error, "status 401");
  assertThrows(() => mechanism.respond(new Uint8Array()), Error, "second challenge");
});

for (const accessToken of ["", "a b", "a\x01auth=Bearer b", "a\r\n", "ü"]) {
  test(`oauthBearer() refuses the token ${JSON.stringify(accessToken)} and does not show it`, () => {
    const error = assertThrows(() => oauthBearer({ user: USER, accessToken }), TypeError);
    assertStringIncludes(error.message, "visible ASCII");
    if (accessToken.length > 1) assertEquals(error.message.includes(accessToken), false);
  });
}

test("oauthBearer() refuses a name with control characters", () => {
  assertThrows(() => oauthBearer({ user: "a\x01b", accessToken: "t" }), TypeError, "control characters");
});
