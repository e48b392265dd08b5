/**
 * TLS on Bun: the options of `upgradeTLS`.
 *
 * @module
 */
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
    // An IP address is never sent as a name (RFC 6066, section 3). Without a name Bun (1.4.5) would send the host that it
    // has connected to, which may be one.
    serverName: serverName === undefined || isIpAddress(serverName) ? "" : serverName,
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
