import { assertEquals, assertThrows } from "@std/assert";
import { parseServerFinal, parseServerFirst } from "../../src/sasl/scram_message.ts";
import { test } from "../support/unwatched.ts";

const parse = (message: string) => parseServerFirst(message, "client");

test("parseServerFirst() reads nonce, salt and iteration count, and skips extensions after them", () => {
  const salt = Uint8Array.of(65, 37);
  assertEquals(parse("r=clientserver,s=QSU=,i=4096"), { nonce: "clientserver", salt, iterations: 4096 });
  assertEquals(parse("r=client=!,s=QSU=,i=10000,x=,y=z").nonce, "client=!");
  assertEquals(parse(`r=clients,s=QSU=,i=4096`).iterations, 4096);
  assertEquals(parse(`r=clients,s=QSU=,i=5000000`).iterations, 5_000_000);
});

for (
  const [what, message, reason] of [
    ["nothing at all", "", "no nonce"],
    ["another nonce", "r=attackerserver,s=QSU=,i=4096", "does not begin with the client's"],
    ["a part of the client's nonce", "r=clien,s=QSU=,i=4096", "does not begin with the client's"],
    ["the client's nonce alone", "r=client,s=QSU=,i=4096", "added nothing"],
    ["a nonce with a control character", "r=client\x01,s=QSU=,i=4096", "characters that do not belong"],
    ["a nonce beyond ASCII", "r=clientü,s=QSU=,i=4096", "characters that do not belong"],
    ["a mandatory extension", "m=cb2,r=clientserver,s=QSU=,i=4096", "extension"],
    ["another order", "s=QSU=,r=clientserver,i=4096", "no nonce"],
    ["no salt", "r=clientserver,i=4096", "no salt"],
    ["an empty salt", "r=clientserver,s=,i=4096", "salt is empty"],
    ["a salt that is not base64", "r=clientserver,s=#,i=4096", "not base64"],
    ["no iteration count", "r=clientserver,s=QSU=", "no iteration count"],
    ["an empty iteration count", "r=clientserver,s=QSU=,i=", "not a number"],
    ["a negative iteration count", "r=clientserver,s=QSU=,i=-4096", "not a number"],
    ["an iteration count in other notation", "r=clientserver,s=QSU=,i=1e6", "not a number"],
    ["one iteration", "r=clientserver,s=QSU=,i=1", "it is 1"],
    ["one iteration too few", "r=clientserver,s=QSU=,i=4095", "it is 4095"],
    ["one iteration too many", "r=clientserver,s=QSU=,i=5000001", "it is 5000001"],
    ["2^31 iterations", "r=clientserver,s=QSU=,i=2147483648", "it is 2147483648"],
    ["iterations without end", `r=clientserver,s=QSU=,i=${"9".repeat(500)}`, "it is Infinity"],
  ] as const
) {
  test(`parseServerFirst() refuses ${what}`, () => {
    assertThrows(() => parse(message), Error, reason);
  });
}

test("parseServerFinal() reads the signature or the refusal", () => {
  assertEquals(parseServerFinal("v=QSU="), { signature: Uint8Array.of(65, 37) });
  assertEquals(parseServerFinal("v=QSU=,x=y"), { signature: Uint8Array.of(65, 37) });
  assertEquals(parseServerFinal("e=invalid-proof"), { refusal: "invalid-proof" });
  assertEquals(parseServerFinal("e=\x1b[2J"), { refusal: "?[2J" });
});

test("parseServerFinal() refuses anything else", () => {
  assertThrows(() => parseServerFinal(""), Error, "no signature");
  assertThrows(() => parseServerFinal("x=y,v=QSU="), Error, "no signature");
  assertThrows(() => parseServerFinal("v=#"), Error, "not base64");
});
