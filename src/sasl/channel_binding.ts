/**
 * Channel bindings tie a login to the TLS connection that it travels in (RFC 5056). So nobody who sits in the middle, with a
 * certificate that the client trusts, can pass the login on to the server.
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

/** What a channel binding is made of. `TlsInfo` of `./sockets` has it, as far as the runtime tells. */
export interface ChannelBindingSource {
  /** The version of TLS, such as `"TLSv1.3"`. */
  readonly protocol?: string | undefined;
  /** The server's certificate, DER. */
  readonly peerCertificate?: Uint8Array | undefined;
  /** Derives keying material from the connection (RFC 5705). */
  readonly exportKeyingMaterial?:
    | ((length: number, label: string, context: Uint8Array) => Uint8Array)
    | undefined;
}

/**
 * Makes the channel binding of a connection: `tls-exporter` under TLS 1.3, if the runtime exports keying material (RFC 9266,
 * section 3: the default there), else `tls-server-end-point`. Under TLS 1.2, `tls-exporter` would need the extended master
 * secret (RFC 9266, section 4.1), and no runtime tells whether it was agreed on.
 *
 * @param tls What is known about the connection's TLS.
 * @returns The channel binding; `undefined` if the runtime tells nothing to make one of.
 */
export async function channelBindingOf(tls: ChannelBindingSource): Promise<ChannelBinding | undefined> {
  const { protocol, peerCertificate, exportKeyingMaterial } = tls;
  if (protocol === "TLSv1.3" && exportKeyingMaterial !== undefined) {
    const data = exportKeyingMaterial(32, "EXPORTER-Channel-Binding", new Uint8Array());
    return { type: "tls-exporter", data };
  }
  return peerCertificate && await tlsServerEndPoint(peerCertificate);
}

/**
 * Makes the channel binding `tls-server-end-point` (RFC 5929, section 4.1).
 *
 * @param certificate The server's own certificate, DER, as it was sent in the handshake.
 * @returns The channel binding; `undefined` if none is defined for the certificate: its signature algorithm uses no hash
 * function of its own (Ed25519), or one that the platform lacks.
 * @throws {SyntaxError} If it is not a certificate.
 */
export async function tlsServerEndPoint(certificate: Uint8Array): Promise<ChannelBinding | undefined> {
  const hash = certificateHash(certificate);
  if (hash === undefined) return undefined;
  const digest = await crypto.subtle.digest(hash, new Uint8Array(certificate));
  return { type: "tls-server-end-point", data: new Uint8Array(digest) };
}
