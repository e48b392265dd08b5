/**
 * Channel bindings: what ties a login to the TLS connection it travels in (RFC 5056), so that nobody who sits between two
 * connections, with a certificate that the client takes for good, can pass the login on.
 *
 * @module
 */
import { certificateHash } from "./certificate_hash.ts";

/**
 * The data of a channel binding.
 *
 * - `"tls-server-end-point"` (RFC 5929, section 4): the hash of the server's certificate, see {@linkcode tlsServerEndPoint}.
 * - `"tls-exporter"` (RFC 9266): 32 bytes exported from the TLS connection with the label `EXPORTER-Channel-Binding` and
 *   an empty context. With TLS 1.2 only where the extended master secret was agreed on (RFC 9266, section 3).
 */
export interface ChannelBinding {
  /** The registered name of the type. */
  readonly type: "tls-server-end-point" | "tls-exporter";
  /** The data. */
  readonly data: Uint8Array;
}

/**
 * Makes the channel binding `tls-server-end-point` (RFC 5929, section 4.1).
 *
 * @param certificate The server's own certificate, DER, as it was sent in the handshake.
 * @returns The channel binding; `undefined` where none is defined for the certificate, because its signature algorithm
 * uses no hash function of its own (Ed25519) or one that the platform does not have.
 * @throws {SyntaxError} If it is not a certificate.
 */
export async function tlsServerEndPoint(certificate: Uint8Array): Promise<ChannelBinding | undefined> {
  const hash = certificateHash(certificate);
  if (hash === undefined) return undefined;
  const digest = await crypto.subtle.digest(hash, new Uint8Array(certificate));
  return { type: "tls-server-end-point", data: new Uint8Array(digest) };
}
