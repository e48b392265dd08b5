/**
 * The options that Cloudflare Workers cannot honour: they are refused, not ignored.
 *
 * @module
 */
import type { SocketSettings, TlsSettings } from "../settings.ts";
import type { TlsOptions } from "../socket.ts";

/**
 * Refuses what `cloudflare:sockets` cannot do.
 *
 * @param settings Where to and how.
 * @returns The settings, whose `startTls` refuses it, too.
 * @throws {TypeError} If there is such an option.
 */
export function settleForWorkers(settings: SocketSettings): SocketSettings {
  const { address, localAddress, keepAlive, tls } = settings;
  if ("path" in address) refuse("path", "there are no unix sockets");
  if (localAddress !== undefined) refuse("localAddress", "the platform chooses the address");
  if (!keepAlive) refuse("keepAlive", "the platform decides about it");
  const { hostname } = address;
  const check = (tls: TlsSettings) => checkTls(tls, hostname);
  if (tls !== undefined) check(tls);
  return Object.freeze({
    ...settings,
    startTls: (options?: TlsOptions) => check(settings.startTls(options)),
  });
}

function checkTls(tls: TlsSettings, hostname: string): TlsSettings {
  if (tls.caCerts.length > 0) refuse("tls.caCerts", "the platform has its own list of authorities");
  if (tls.fingerprints.length > 0) refuse("tls.fingerprints", "the platform does not show the certificate");
  if (tls.cert !== undefined) refuse("tls.cert", "there are no client certificates for sockets");
  if (tls.alpnProtocols.length > 0) refuse("tls.alpnProtocols", "the platform has no ALPN for sockets");
  if (tls.peerCertificate) refuse("tls.peerCertificate", "the platform does not show the certificate");
  if (!tls.verify) refuse("tls.verify", "the platform checks every certificate");
  if (tls.serverName !== hostname.replace(/\.$/, "")) {
    refuse("tls.serverName", "the platform checks the certificate for the host name that was connected to");
  }
  return tls;
}

function refuse(option: string, why: string): never {
  throw new TypeError(`Cannot connect: Cloudflare Workers cannot honour ${option}: ${why}`);
}
