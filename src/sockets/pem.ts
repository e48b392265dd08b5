/**
 * PEM (RFC 7468), as far as it takes to tell a certificate and a key from garbage: Deno takes garbage without a word.
 *
 * @module
 */

const CERTIFICATE = "CERTIFICATE";

/**
 * Checks that a text holds certificates.
 *
 * @param pem The text.
 * @param what What to call it in the message. The text itself is never shown.
 * @throws {TypeError} If it does not.
 */
export function assertCertificates(pem: string, what: string): void {
  const blocks = readBlocks(pem, what).filter(({ label }) => label === CERTIFICATE);
  if (blocks.length === 0) throw new TypeError(`"${what}" has no PEM block "${CERTIFICATE}"`);
  for (const { body } of blocks) {
    if (!isDerSequence(body)) throw new TypeError(`"${what}" has a PEM block that is no certificate`);
  }
}

/**
 * Checks that a text holds a private key that is not encrypted.
 *
 * @param pem The text.
 * @param what What to call it in the message. The text itself is never shown.
 * @throws {TypeError} If it does not.
 */
export function assertPrivateKey(pem: string, what: string): void {
  const blocks = readBlocks(pem, what).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  if (blocks.length === 0) throw new TypeError(`"${what}" has no PEM block "PRIVATE KEY"`);
  if (blocks.some(({ label, body }) => label.startsWith("ENCRYPTED") || body.includes("Proc-Type"))) {
    throw new TypeError(`"${what}" is encrypted: decrypt it first`);
  }
  if (!blocks.some(({ body }) => isDerSequence(body))) {
    throw new TypeError(`"${what}" has a PEM block that is no private key`);
  }
}

interface Block {
  label: string;
  body: string;
}

function readBlocks(pem: string, what: string): Block[] {
  if (typeof pem !== "string") {
    throw new TypeError(`"${what}" is a string with PEM: it is of type ${typeof pem}`);
  }
  const blocks: Block[] = [];
  for (const match of pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)) {
    blocks.push({ label: match[1]!.replace(/^(X509|TRUSTED) CERTIFICATE$/, CERTIFICATE), body: match[2]! });
  }
  return blocks;
}

/** Whether it is base64 of one DER SEQUENCE (X.690, section 8.1) of just that length, as certificates and keys are. */
function isDerSequence(body: string): boolean {
  let der: string;
  try {
    der = atob(body);
  } catch {
    return false;
  }
  if (der.charCodeAt(0) !== 0x30) return false;
  const first = der.charCodeAt(1);
  if (first < 0x80) return der.length === 2 + first;
  const lengthBytes = first & 0x7f;
  let length = 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + der.charCodeAt(2 + i);
  return der.length >= 2 + lengthBytes + length;
}
