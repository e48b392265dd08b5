/**
 * Whose certificate a client has shown, from its DER.
 *
 * @module
 */
import { Der, SEQUENCE } from "../core/der.ts";
import { certificateNames, subjectAltName } from "../sockets/certificate_names.ts";

/** The certificate that a client has shown, and that one of the authorities in `tls.caCerts` has signed. */
export interface ClientCertificate {
  /**
   * Its subject as RFC 4514 writes it, the most specific part first: `"CN=mail.example.org,O=Example\\, Inc.,C=DE"`; empty if
   * it has none. What an authority checks of it is the authority's own business: to tell clients apart, `names` and
   * `fingerprint` are better.
   */
  readonly subject: string;
  /** Its names (subjectAltName; RFC 5280, section 4.2.1.6). The common name is none of them. */
  readonly names: ClientNames;
  /**
   * The SHA-256 of the certificate, as `openssl x509 -noout -fingerprint -sha256` prints it: 32 bytes in hexadecimal, upper
   * case, with colons.
   */
  readonly fingerprint: string;
}

/** The names in a certificate, by their kind. Those with characters that such a name cannot have are left out. */
export interface ClientNames {
  /** Host names, in lower case, perhaps with a wildcard. */
  readonly dns: readonly string[];
  /** Mail addresses. */
  readonly email: readonly string[];
  /** URIs. */
  readonly uri: readonly string[];
  /** IP addresses, such as `"192.0.2.1"` and `"2001:db8::1"`. */
  readonly ip: readonly string[];
}

/** Tags in a certificate, and of its names (RFC 5280, sections 4.1 and 4.2.1.6). */
const VERSION = 0xa0;
const SET = 0x31;
const EMAIL = 0x81;
const URI = 0x86;

/** Types of attributes that RFC 4514, section 3, abbreviates, by their object identifiers. */
const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ["550403", "CN"],
  ["550406", "C"],
  ["550407", "L"],
  ["550408", "ST"],
  ["550409", "STREET"],
  ["55040a", "O"],
  ["55040b", "OU"],
  ["0992268993f22c640101", "UID"],
  ["0992268993f22c640119", "DC"],
  ["2a864886f70d010901", "emailAddress"],
]);

/** Encodings of strings (X.680, section 8.4): UTF8String, PrintableString, IA5String. */
const STRINGS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);

/**
 * Reads a certificate that was checked.
 *
 * @param certificate The certificate, DER.
 * @returns What it says of its owner.
 * @throws {SyntaxError} If it cannot be read.
 */
export async function readClientCertificate(certificate: Uint8Array): Promise<ClientCertificate> {
  const digest = await crypto.subtle.digest("SHA-256", certificate as Uint8Array<ArrayBuffer>);
  const signed = new Der(certificate).enter(SEQUENCE).enter(SEQUENCE);
  if (signed.tag === VERSION) signed.skip();
  // Serial number, signature algorithm, issuer, validity.
  const subject = readSubject(signed.skip().skip().skip().skip().enter(SEQUENCE));
  const fingerprint = hex(new Uint8Array(digest), ":").toUpperCase();
  return Object.freeze({ subject, names: readNames(certificate), fingerprint });
}

function readNames(certificate: Uint8Array): ClientNames {
  const { hosts, addresses } = certificateNames(certificate);
  const email: string[] = [];
  const uri: string[] = [];
  for (const names = subjectAltName(certificate); names !== undefined && !names.done;) {
    const { tag } = names;
    const content = names.take(tag);
    // Only visible ASCII: anything else is no such name, and perhaps two that look like one (CVE-2021-44532).
    if (!content.every((byte) => byte > 0x20 && byte < 0x7f)) continue;
    const text = String.fromCharCode(...content);
    if (tag === EMAIL && text.includes("@")) email.push(text);
    else if (tag === URI && URL.canParse(text)) uri.push(text);
  }
  return Object.freeze({
    dns: Object.freeze(hosts),
    email: Object.freeze(email),
    uri: Object.freeze(uri),
    ip: Object.freeze(addresses),
  });
}

/** RFC 4514, section 2: from the last part to the first, `+` between those of one part. */
function readSubject(parts: Der): string {
  const texts: string[] = [];
  while (!parts.done) {
    const attributes: string[] = [];
    for (const part = parts.enter(SET); !part.done;) {
      const attribute = part.enter(SEQUENCE);
      const type = attribute.identifier();
      const { tag } = attribute;
      const value = attribute.take(tag);
      const name = ATTRIBUTES.get(type);
      const text = name !== undefined && STRINGS.has(tag) ? escapeValue(value) : `#${hex(value)}`;
      attributes.push(`${name ?? `oid:${type}`}=${text}`);
    }
    texts.unshift(attributes.join("+"));
  }
  return texts.join(",");
}

/** RFC 4514, section 2.4, and all but visible ASCII, spaces and well-formed UTF-8 in hexadecimal. */
function escapeValue(value: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return `#${hex(value)}`;
  }
  return text
    .replace(/["+,;<>\\=]|^[ #]| $/g, "\\$&")
    .replace(
      /[\p{C}\p{Z}]/gu,
      (char) => char === " " ? char : hex(new TextEncoder().encode(char), "\\", "\\"),
    );
}

function hex(bytes: Uint8Array, separator = "", start = ""): string {
  return start + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}
