/**
 * The server's side of TLS with `node:tls`, on every runtime.
 *
 * @module
 */
import type net from "node:net";
import type tls from "node:tls";
import { builtin } from "../sockets/runtime.ts";
import { assertCertificates, assertPrivateKey } from "../sockets/pem.ts";
import { settleCertificates } from "../sockets/settings.ts";
import type { ServerTlsOptions } from "./options.ts";

/** Makes the server's side of TLS over an accepted connection, whose handshake is still to come. */
export type SecureServerSocket = (raw: net.Socket) => tls.TLSSocket;

/**
 * Checks a certificate.
 *
 * @param options The certificate and its key.
 * @returns Makes TLS sockets with it.
 * @throws {TypeError} If the certificate or the key is not PEM, or they do not belong together.
 */
export function createSecureServer(options: ServerTlsOptions): SecureServerSocket {
  const { cert, key, caCerts } = options;
  assertCertificates(cert, "tls.cert");
  assertPrivateKey(key, "tls.key");
  const ca = caCerts === undefined ? undefined : settleCertificates(caCerts, "tls.caCerts");
  let secureContext: tls.SecureContext;
  try {
    secureContext = builtin("node:tls").createSecureContext({
      cert,
      key,
      ...(ca !== undefined && { ca: [...ca] }),
    });
  } catch (cause) {
    throw new TypeError("Cannot serve: the certificate and the key cannot be used together", { cause });
  }
  const requestCert = ca !== undefined;
  return (raw) =>
    new (builtin("node:tls").TLSSocket)(raw, {
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized: requestCert,
      ...{ highWaterMark: 0 },
    });
}
