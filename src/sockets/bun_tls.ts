/**
 * What Bun leaves to us in TLS: the name in the certificate.
 *
 * @module
 */
import type tls from "node:tls";
import { builtin } from "./builtin.ts";

/** What a socket of Bun's says about its peer after the handshake. */
export interface TlsPeer {
  /** Whether the chain of the certificate is trusted. */
  readonly authorized: boolean;
  getPeerCertificate(): tls.PeerCertificate | undefined;
}

/**
 * Checks that the peer has shown a certificate that is trusted and for its name.
 *
 * @param serverName The name, or the IP address.
 * @param peer The socket, the handshake done.
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
