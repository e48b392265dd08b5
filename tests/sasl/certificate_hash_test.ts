import { assertEquals, assertThrows } from "@std/assert";
import { certificateHash } from "../../src/sasl/certificate_hash.ts";
import { test } from "../support/unwatched.ts";

/** One value in DER. */
function der(tag: number, ...content: (Uint8Array | number)[]): Uint8Array {
  const bytes = content.flatMap((part) => typeof part === "number" ? [part] : [...part]);
  const { length } = bytes;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return Uint8Array.of(tag, ...size, ...bytes);
}

const oid = (hex: string) => der(0x06, ...hex.match(/../g)!.map((byte) => parseInt(byte, 16)));
const algorithm = (hex: string, ...parameters: Uint8Array[]) => der(0x30, oid(hex), ...parameters);
/** A certificate as far as anybody looks: to be signed, signature algorithm, signature. */
const certificate = (signature: Uint8Array) =>
  der(0x30, der(0x30, ...Array(300).fill(7)), signature, der(0x03, 0));

const PSS = "2a864886f70d01010a";

for (
  const [name, signature, hash] of [
    ["md5WithRSAEncryption", algorithm("2a864886f70d010104"), "SHA-256"],
    ["sha1WithRSAEncryption", algorithm("2a864886f70d010105"), "SHA-256"],
    ["sha256WithRSAEncryption", algorithm("2a864886f70d01010b", der(0x05)), "SHA-256"],
    ["sha384WithRSAEncryption", algorithm("2a864886f70d01010c", der(0x05)), "SHA-384"],
    ["sha512WithRSAEncryption", algorithm("2a864886f70d01010d", der(0x05)), "SHA-512"],
    ["ecdsa-with-SHA1", algorithm("2a8648ce3d0401"), "SHA-256"],
    ["ecdsa-with-SHA256", algorithm("2a8648ce3d040302"), "SHA-256"],
    ["ecdsa-with-SHA384", algorithm("2a8648ce3d040303"), "SHA-384"],
    ["ecdsa-with-SHA512", algorithm("2a8648ce3d040304"), "SHA-512"],
    ["RSASSA-PSS with SHA-1 by default", algorithm(PSS, der(0x30)), "SHA-256"],
    ["RSASSA-PSS with SHA-1", algorithm(PSS, der(0x30, der(0xa0, algorithm("2b0e03021a")))), "SHA-256"],
    [
      "RSASSA-PSS with SHA-384",
      algorithm(PSS, der(0x30, der(0xa0, algorithm("608648016503040202")))),
      "SHA-384",
    ],
    [
      "RSASSA-PSS with SHA-512",
      algorithm(PSS, der(0x30, der(0xa0, algorithm("608648016503040203")))),
      "SHA-512",
    ],
    ["Ed25519, which has no hash of its own", algorithm("2b6570"), undefined],
    ["ecdsa-with-SHA224, which WebCrypto does not have", algorithm("2a8648ce3d040301"), undefined],
  ] as const
) {
  test(`certificateHash() gives ${hash} for ${name}`, () => {
    assertEquals(certificateHash(certificate(signature)), hash);
  });
}

test("certificateHash() refuses a certificate that is cut off anywhere before its signature", () => {
  const whole = certificate(algorithm("2a864886f70d01010b"));
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => certificateHash(whole.subarray(0, length)), SyntaxError, "not DER");
  }
});

for (
  const [what, bytes] of [
    ["text", new TextEncoder().encode("-----BEGIN CERTIFICATE-----")],
    ["an indefinite length", Uint8Array.of(0x30, 0x80, 0x30, 0)],
    ["a length of four bytes", Uint8Array.of(0x30, 0x84, 0, 0, 0, 2, 0x30, 0)],
    ["a SEQUENCE of nothing", Uint8Array.of(0x30, 0)],
    ["an algorithm without a name", der(0x30, der(0x30), der(0x30), der(0x03, 0))],
    ["RSASSA-PSS without parameters", der(0x30, der(0x30), algorithm(PSS), der(0x03, 0))],
  ] as const
) {
  test(`certificateHash() refuses ${what}`, () => {
    assertThrows(() => certificateHash(bytes), SyntaxError, "not DER");
  });
}
