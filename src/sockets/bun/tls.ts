/**
 * TLS on Bun: the options of `upgradeTLS`, and the check of the certificate's name, which Bun leaves to us.
 *
 * @module
 */
import type tls from "node:tls";
import { builtin } from "../runtime.ts";
import { isIpAddress, type TlsSettings } from "../settings.ts";
import { trustedCertificates } from "../tls.ts";

/**
 * The `tls` options of `upgradeTLS`.
 *
 * @param settings How to do TLS.
 */
export function upgradeOptions(
  { serverName, cert, key, alpnProtocols, verify, caCerts }: TlsSettings,
): Readonly<Record<string, unknown>> {
  const ca = verify ? trustedCertificates(caCerts) : undefined;
  return {
    rejectUnauthorized: verify,
    // An IP address is checked like a name, but never sent as one (RFC 6066, section 3).
    ...(serverName !== undefined && !isIpAddress(serverName) && { serverName }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert, key }),
    ...(alpnProtocols.length > 0 && { ALPNProtocols: encodeAlpn(alpnProtocols) }),
  };
}

/** The protocols as they travel: each after a byte with its length (RFC 7301, section 3.1). */
function encodeAlpn(protocols: readonly string[]): Uint8Array {
  return new TextEncoder().encode(
    protocols.map((protocol) => String.fromCharCode(protocol.length) + protocol).join(""),
  );
}

/** What Bun's socket says about the peer after the handshake. */
export interface TlsPeer {
  /** Whether the chain of the certificate is trusted. */
  readonly authorized: boolean;
  getPeerCertificate(): tls.PeerCertificate | undefined;
}

/**
 * Checks that the peer has shown a certificate that is trusted and carries its name.
 *
 * @param serverName The name, or the IP address.
 * @param peer The socket, after the handshake.
 * @throws {Error} If it has not.
 */
export function checkPeer(serverName: string, peer: TlsPeer): void {
  if (!peer.authorized) {
    throw Object.assign(new Error("The certificate is not trusted"), { code: "CERT_UNTRUSTED" });
  }
  const certificate = peer.getPeerCertificate();
  if (certificate === undefined || Object.keys(certificate).length === 0) {
    throw new Error("The server showed no certificate");
  }
  const error = builtin("node:tls").checkServerIdentity(serverName, certificate);
  if (error !== undefined) throw error;
}
