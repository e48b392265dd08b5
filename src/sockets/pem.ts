/**
 * Checks that a text in PEM (RFC 7468) holds a certificate or a key: Deno ignores garbage silently.
 *
 * @module
 */

const CERTIFICATE = "CERTIFICATE";
const CERTIFICATES = "one or more certificates in PEM";
const PRIVATE_KEY = "a private key in PEM";

/**
 * Checks that a text holds certificates.
 *
 * @param pem The text.
 * @param option The name of the option in the message. The text itself is never shown.
 * @returns Each certificate as a text of its own: Bun's server (1.4.5) reads only the first of several.
 * @throws {TypeError} If it does not.
 */
export function assertCertificates(pem: string, option: string): string[] {
  const refuse = (why: string) => refusal(option, CERTIFICATES, why);
  if (typeof pem !== "string") throw refuse(`is of type ${typeof pem}`);
  const blocks = readBlocks(pem).filter(({ label }) => label === CERTIFICATE);
  if (blocks.length === 0) throw refuse(`has no PEM block "${CERTIFICATE}"`);
  if (!blocks.every(({ body }) => isDerSequence(body))) throw refuse("has a block that is not a certificate");
  return blocks.map(({ body }) => `-----BEGIN ${CERTIFICATE}-----${body}-----END ${CERTIFICATE}-----\n`);
}

/**
 * Checks that a text holds a private key that is not encrypted.
 *
 * @param pem The text.
 * @param option The name of the option in the message. The text itself is never shown.
 * @throws {TypeError} If it does not.
 */
export function assertPrivateKey(pem: string, option: string): void {
  const refuse = (why: string) => refusal(option, PRIVATE_KEY, why);
  if (typeof pem !== "string") throw refuse(`is of type ${typeof pem}`);
  const blocks = readBlocks(pem).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  if (blocks.length === 0) throw refuse('has no PEM block "PRIVATE KEY"');
  if (blocks.some(({ label, body }) => label.startsWith("ENCRYPTED") || body.includes("Proc-Type"))) {
    throw refuse("is encrypted: decrypt it first");
  }
  if (!blocks.some(({ body }) => isDerSequence(body))) throw refuse("has a block that is not a private key");
}

/**
 * Whether there is a certificate that Deno's own TLS takes as an authority's, but not as a server's, although it may be one's:
 * it calls itself an authority's and has names of servers, which those of authorities have not; or it has none but the
 * common name, which `node:tls` lets us tell apart from one that no authority has signed.
 *
 * It looks for the extensions and the name as they stand in DER (RFC 5280, sections 4.2.1.6 and 4.2.1.9). To be wrong does no
 * harm: `node:tls` checks as much.
 *
 * @param pem The text, checked.
 * @param serverName The name of the server.
 */
export function isServersOwn(pem: string, serverName: string): boolean {
  return readBlocks(pem).some(({ label, body }) => {
    if (label !== CERTIFICATE) return false;
    const der = atob(body);
    if (!der.includes(SUBJECT_ALT_NAME)) return der.includes(serverName);
    return IS_AUTHORITY.test(der);
  });
}

/** The DER of a certificate in PEM, checked. */
export function derOf(pem: string): Uint8Array {
  return Uint8Array.from(atob(readBlocks(pem)[0]!.body), (char) => char.charCodeAt(0));
}

const SUBJECT_ALT_NAME = "\x06\x03\x55\x1d\x11";
/** The OID of the basic constraints, perhaps "critical", and an OCTET STRING with a SEQUENCE that begins with TRUE. */
// deno-lint-ignore no-control-regex
const IS_AUTHORITY = /\x06\x03\x55\x1d\x13(?:\x01\x01\xff)?\x04.\x30.\x01\x01\xff/s;

/** Says what is wrong with the value, and shows none of it. */
function refusal(option: string, what: string, why: string): TypeError {
  return new TypeError(`Cannot use TLS: ${option} must be ${what}, the current value ${why}`);
}

interface Block {
  label: string;
  body: string;
}

function readBlocks(pem: string): Block[] {
  const blocks: Block[] = [];
  for (const match of pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)) {
    blocks.push({ label: match[1]!.replace(/^(X509|TRUSTED) CERTIFICATE$/, CERTIFICATE), body: match[2]! });
  }
  return blocks;
}

/** Whether the body is base64 of one DER SEQUENCE (X.690, section 8.1) of the right length, as certificates and keys are. */
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
