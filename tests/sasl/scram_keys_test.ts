import { assertEquals } from "@std/assert";
import { decodeBase64, encodeBase64 } from "../../src/sasl/base64.ts";
import { computeProofs, equalBytes } from "../../src/sasl/scram_keys.ts";
import { test } from "../support/unwatched.ts";

test("computeProofs() gives the proofs of RFC 5802, section 5", async () => {
  const nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
  const { clientProof, serverSignature } = await computeProofs("SHA-1", {
    password: "pencil",
    salt: decodeBase64("QSXCR+Q6sek8bf92"),
    iterations: 4096,
    authMessage: `n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=${nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=${nonce}`,
  });
  assertEquals(encodeBase64(clientProof), "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
  assertEquals(encodeBase64(serverSignature), "rmF9pqV8S7suAoZWja4dJRkFsKQ=");
});

test("equalBytes() finds a difference anywhere", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  assertEquals(equalBytes(bytes, bytes.slice()), true);
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const other = bytes.slice();
      other[i]! ^= 1 << bit;
      assertEquals(equalBytes(bytes, other), false);
    }
  }
  assertEquals(equalBytes(bytes, bytes.subarray(1)), false);
  assertEquals(equalBytes(bytes, new Uint8Array()), false);
});
