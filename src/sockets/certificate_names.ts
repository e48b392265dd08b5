/**
 * Whom a certificate is for, from its DER. Each runtime has a rule of its own for that; some read the names from a text that
 * a certificate can forge (CVE-2021-44532), some take the common name. The rule here is the one of rustls, which Deno's own
 * TLS follows.
 *
 * @module
 */
import { Der, OCTET_STRING, SEQUENCE } from "../core/der.ts";

/** The names of a certificate: of the subjectAltName extension only (RFC 9525, section 2), and only those that TLS can use. */
export interface CertificateNames {
  /** Each `dNSName` that is a host name, or `*.` before one of at least two labels; in lower case. */
  readonly hosts: readonly string[];
  /** Each `iPAddress`, as {@linkcode canonicalAddress} writes it. */
  readonly addresses: readonly string[];
}

const SUBJECT_ALT_NAME = "551d11";
const BASIC_CONSTRAINTS = "551d13";
const BOOLEAN = 0x01;
/** Tags in a certificate, and of its names (RFC 5280, sections 4.1 and 4.2.1.6). */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

/**
 * A name without a final dot, as the preferred syntax wants it (RFC 5280, section 4.2.1.6; with the underscore that hosts in
 * the wild have); the wildcard only as the whole first label (RFC 9525, section 6.3), and not over a whole top-level domain.
 */
const PRESENTED = /^(?:\*\.(?=[^.]+\.))?[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63})*$/;

/**
 * Reads the names of a certificate.
 *
 * @param certificate The certificate, DER.
 * @throws {SyntaxError} If it cannot be read, or has more than one subjectAltName extension.
 */
export function certificateNames(certificate: Uint8Array): CertificateNames {
  const hosts: string[] = [];
  const addresses: string[] = [];
  const names = subjectAltName(certificate);
  while (names !== undefined && !names.done) {
    const { tag } = names;
    const content = names.take(tag);
    if (tag === DNS_NAME) {
      // Byte by byte: a name that is not ASCII is none.
      const host = String.fromCharCode(...content).toLowerCase();
      if (host.length < 254 && PRESENTED.test(host)) hosts.push(host);
    } else if (tag === IP_ADDRESS) {
      const address = addressOf(content);
      if (address !== undefined) addresses.push(address);
    }
  }
  return { hosts, addresses };
}

/**
 * Finds the subjectAltName extension in what the authority has signed.
 *
 * @param certificate The certificate, DER.
 * @returns A reader for the names; `undefined` if there are none.
 * @throws {SyntaxError} If it cannot be read, or has more than one such extension.
 */
export function subjectAltName(certificate: Uint8Array): Der | undefined {
  const value = extensionOf(certificate, SUBJECT_ALT_NAME);
  const names = value?.enter(SEQUENCE);
  if (value?.done === false) {
    throw new SyntaxError("Cannot read the certificate: something follows its names");
  }
  return names;
}

/**
 * Whether a certificate is an authority's: whether its basic constraints say so (RFC 5280, section 4.2.1.9).
 *
 * @param certificate The certificate, DER.
 * @throws {SyntaxError} If it cannot be read.
 */
export function isAuthority(certificate: Uint8Array): boolean {
  const constraints = extensionOf(certificate, BASIC_CONSTRAINTS)?.enter(SEQUENCE);
  return constraints?.tag === BOOLEAN && constraints.take(BOOLEAN)[0] === 0xff;
}

/** Finds an extension, and returns a reader for its value. */
function extensionOf(certificate: Uint8Array, identifier: string): Der | undefined {
  const signed = new Der(certificate).enter(SEQUENCE).enter(SEQUENCE);
  if (signed.tag === VERSION) signed.skip();
  // Serial number, signature algorithm, issuer, validity, subject, public key, and perhaps unique identifiers.
  while (!signed.done && signed.tag !== EXTENSIONS) signed.skip();
  let found: Der | undefined;
  if (signed.done) return found;
  for (const list = signed.enter(EXTENSIONS).enter(SEQUENCE); !list.done;) {
    const extension = list.enter(SEQUENCE);
    if (extension.identifier() !== identifier) continue;
    if (found !== undefined) throw new SyntaxError("Cannot read the certificate: it has an extension twice");
    if (extension.tag !== OCTET_STRING) extension.skip(); // whether it is critical
    found = extension.enter(OCTET_STRING);
  }
  return found;
}

function addressOf(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  return canonicalAddress(groups.join(":"));
}

/**
 * Writes an IP address in the one way in which two that are the same are equal. One that maps an IPv4 address into IPv6 is
 * not the same as that.
 *
 * @param address An IPv4 or IPv6 address, without brackets. A zone is left out.
 */
export function canonicalAddress(address: string): string {
  if (!address.includes(":")) return address;
  return new URL(`http://[${address.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
}

/**
 * Whether a certificate with these names is for a host.
 *
 * @param names The names of the certificate.
 * @param serverName The host name in ASCII, without a final dot, or the IP address.
 */
export function isFor({ hosts, addresses }: CertificateNames, serverName: string): boolean {
  if (/:|^[\d.]+$/.test(serverName)) return addresses.includes(canonicalAddress(serverName));
  const host = serverName.toLowerCase();
  const wildcard = host.replace(/^[^.]+/, "*");
  return hosts.includes(host) || hosts.includes(wildcard);
}
