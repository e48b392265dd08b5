/**
 * What TLS by `node:tls` and TLS by Bun's own sockets have in common: which authorities they trust, and what they say about
 * a connection.
 *
 * @module
 */
import { certificateNames, isAuthority, isFor } from "./certificate_names.ts";
import { derOf } from "./pem.ts";
import { builtin } from "./runtime.ts";
import type { TlsSettings } from "./settings.ts";
import { SocketError, type SocketInfo, type TlsInfo } from "./socket.ts";

/**
 * The certificates of the authorities to trust, the `ca` of `node:tls`. There, `ca` replaces the system's authorities, so
 * that they have to be in the list as well. To read them, Deno needs `--allow-sys=ca`; without it, they are left out: that is
 * never too much trust, and a server whose certificate is in `caCerts` needs no more.
 *
 * @param caCerts The authorities to trust besides the system's, PEM.
 * @returns All of them; `undefined` if the system's are enough.
 */
export function trustedCertificates(caCerts: readonly string[]): string[] | undefined {
  if (caCerts.length === 0) return undefined;
  const own = ownCertificates(caCerts);
  if (own.length > 0) caCerts = caCerts.filter((pem) => !own.includes(pem));
  if (!mayReadAuthorities()) return [...caCerts];
  const tls = builtin("node:tls");
  // From Node 22.15 on, with those of NODE_EXTRA_CA_CERTS and --use-system-ca.
  const { getCACertificates } = tls as { getCACertificates?: (type: "default") => string[] };
  return [...getCACertificates?.("default") ?? tls.rootCertificates, ...caCerts];
}

/**
 * Those of `caCerts` that are no authority's (CA:FALSE), on Deno. Node and Bun take such a certificate for the peer's own, and
 * trust nothing that its key has signed. Deno (2.9.6) takes each certificate for an authority's, for every name: so it does
 * not get them, and {@linkcode isOneOf} looks whether one of them is the peer's.
 *
 * @param caCerts The certificates, one a text.
 */
export function ownCertificates(caCerts: readonly string[]): string[] {
  if (!("Deno" in globalThis)) return [];
  return caCerts.filter((pem) => {
    try {
      return !isAuthority(derOf(pem));
    } catch {
      return true; // what cannot be read is nobody's
    }
  });
}

/**
 * Whether a certificate is one of some, to the byte.
 *
 * @param own What {@linkcode ownCertificates} has found.
 * @param certificate The peer's certificate.
 */
export function isOneOf(own: readonly string[], certificate: Uint8Array): boolean {
  const { Buffer } = builtin("node:buffer");
  return own.some((pem) => Buffer.from(derOf(pem)).equals(certificate));
}

/**
 * Checks who has signed a certificate, where {@linkcode ownCertificates} finds some, so that the handshake did not.
 *
 * @param own What it has found.
 * @param certificate The server's certificate.
 * @param socket What `node:tls` says: `authorized`, whether an authority that it trusts has signed the certificate.
 * @throws {Error} If neither an authority has signed it, nor is it one of `own` and valid now.
 */
export function checkIssuer(
  own: readonly string[],
  certificate: Uint8Array | undefined,
  socket: { authorized: boolean; authorizationError: unknown },
): void {
  if (socket.authorized === true) return;
  const code = `${socket.authorizationError || "CERT_UNTRUSTED"}`;
  if (certificate === undefined || !isOneOf(own, certificate)) {
    throw Object.assign(new Error(code), { code });
  }
  const { validFrom, validTo } = new (builtin("node:crypto").X509Certificate)(certificate);
  const now = Date.now();
  const refuse = (code: string, why: string) => Object.assign(new Error(why), { code });
  if (!(Date.parse(validFrom) <= now)) throw refuse("CERT_NOT_YET_VALID", `it is valid from ${validFrom}`);
  if (!(now <= Date.parse(validTo))) throw refuse("CERT_HAS_EXPIRED", `it was valid until ${validTo}`);
}

function mayReadAuthorities(): boolean {
  if (!("Deno" in globalThis)) return true;
  const ca = { name: "sys", kind: "ca" } as unknown as Deno.PermissionDescriptor;
  return Deno.permissions.querySync(ca).state === "granted";
}

/** The part of a TLS socket that is used here: of Node's, or of Bun's own. Not all have all of it. */
export interface TlsSource {
  readonly alpnProtocol?: string | false | null;
  readonly servername?: string | false | null;
  /** Node. */
  getProtocol?(): string | null;
  /** Bun. */
  getTLSVersion?(): string;
  getCipher?(): { standardName?: string; name?: string } | undefined;
  getPeerX509Certificate?(): { raw: Uint8Array } | undefined;
  /** Not on Deno (2.9.6). */
  exportKeyingMaterial?(length: number, label: string, context: Uint8Array): Uint8Array;
}

/**
 * What is known about a TLS connection. To be asked once: Node shows the certificate to the first who asks.
 *
 * @param socket The TLS socket, after the handshake.
 */
export function describeTls(socket: TlsSource): Required<Pick<SocketInfo, "alpn" | "tls">> {
  const protocol = socket.getProtocol?.() ?? socket.getTLSVersion?.();
  const cipher = socket.getCipher?.();
  const cipherName = cipher?.standardName ?? cipher?.name;
  const certificate = socket.getPeerX509Certificate?.()?.raw;
  const tls: TlsInfo = {
    ...(protocol && { protocol }),
    ...(cipherName && { cipher: cipherName }),
    ...(socket.servername && { serverName: socket.servername }),
    // Not a Buffer, whose slice() is a view where a Uint8Array's is a copy.
    ...(certificate !== undefined && { peerCertificate: new Uint8Array(certificate) }),
    ...(socket.exportKeyingMaterial !== undefined && { exportKeyingMaterial: exporter(socket) }),
  };
  return { alpn: socket.alpnProtocol || null, tls };
}

/**
 * Checks that the certificate of the peer is for the server that was meant, or is one of those that are accepted as they are.
 *
 * @param settings How to do TLS.
 * @param info What TLS has agreed on. The handshake has proved that the peer has the key of the certificate, and with
 * `verify` that an authority has signed it.
 * @throws {Error} If it is not.
 */
export function checkCertificate(
  { verify, fingerprints, serverName }: TlsSettings,
  { peerCertificate: certificate }: TlsInfo,
): void {
  if (!verify && fingerprints.length === 0) return;
  if (certificate === undefined) {
    throw new SocketError("certificate-untrusted", "The server showed no certificate");
  }
  if (verify) checkNames(certificate, serverName!);
  else checkFingerprint(certificate, fingerprints, serverName);
}

/** How many names of a certificate a message shows. */
const SHOWN_NAMES = 8;

function checkNames(certificate: Uint8Array, serverName: string): void {
  const names = certificateNames(certificate);
  if (isFor(names, serverName)) return;
  const all = [...names.hosts, ...names.addresses];
  const shown = `${all.slice(0, SHOWN_NAMES).join(", ")}${all.length > SHOWN_NAMES ? " and others" : ""}`;
  const message = all.length === 0
    ? "it has no names (subjectAltName), and the common name does not count; tls.fingerprints accepts it as it is"
    : `it is for ${shown}, not for ${serverName}`;
  throw Object.assign(new Error(message), { code: "HOSTNAME_MISMATCH" });
}

function checkFingerprint(
  certificate: Uint8Array,
  fingerprints: readonly string[],
  serverName: string | undefined,
): void {
  const hex = builtin("node:crypto").createHash("sha256").update(certificate).digest("hex");
  if (fingerprints.includes(hex)) return;
  const shown = hex.toUpperCase().replace(/..(?!$)/g, "$&:");
  const at = serverName === undefined ? "" : ` (${serverName})`;
  throw new SocketError(
    "certificate-untrusted",
    `The server's certificate is not in tls.fingerprints${at}: its own is ${shown}`,
  );
}

function exporter(socket: TlsSource): NonNullable<TlsInfo["exportKeyingMaterial"]> {
  return (length, label, context) => {
    // Up to TLS 1.2 an empty context is not the same as none (RFC 5705, section 4); Bun tells them apart only by a Buffer.
    const { Buffer } = builtin("node:buffer");
    return new Uint8Array(socket.exportKeyingMaterial!(length, label, Buffer.from(context)));
  };
}
