/**
 * The server's side of TLS with `node:tls`, on every runtime.
 *
 * @module
 */
import type net from "node:net";
import type tls from "node:tls";
import { mustBe } from "../core/errors.ts";
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
  if (ca?.length === 0) {
    throw new TypeError(mustBe("serve", "tls.caCerts", "one or more certificates in PEM", caCerts));
  }
  assertPair(cert, key);
  let secureContext: tls.SecureContext;
  try {
    secureContext = builtin("node:tls").createSecureContext({
      cert,
      key,
      ...(ca !== undefined && { ca: [...ca] }),
    });
  } catch (cause) {
    throw new TypeError("Cannot serve: tls.cert and tls.key cannot be used together", { cause });
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

/** Deno takes any certificate with any key, and every handshake then fails. */
function assertPair(cert: string, key: string): void {
  const { createPrivateKey, X509Certificate } = builtin("node:crypto");
  const read = <T>(name: string, make: () => T): T => {
    try {
      return make();
    } catch (cause) {
      // What the runtime says may quote the key.
      const more = name === "tls.cert" ? { cause } : {};
      throw new TypeError(`Cannot serve: ${name} is PEM, and cannot be read`, more);
    }
  };
  const certificate = read("tls.cert", () => new X509Certificate(cert));
  const privateKey = read("tls.key", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new TypeError(
      "Cannot serve: tls.key is the key of another certificate than tls.cert, whose first certificate must be the server's",
    );
  }
}
