/**
 * The server's side of TLS with `node:tls`, on every runtime.
 *
 * @module
 */
import type net from "node:net";
import type tls from "node:tls";
import { mustBe } from "../core/errors.ts";
import { builtin } from "../sockets/runtime.ts";
import { SocketError } from "../sockets/socket.ts";
import { assertCertificates, assertPrivateKey } from "../sockets/pem.ts";
import { settleCertificates } from "../sockets/settings.ts";
import { isOneOf, ownCertificates } from "../sockets/tls.ts";
import { oneOf, type ServerTlsOptions } from "./options.ts";

/** The server's side of TLS. */
export interface SecureServer {
  /** Makes the TLS socket over an accepted connection, whose handshake is still to come. */
  readonly upgrade: (raw: net.Socket) => tls.TLSSocket;
  /** Refuses a client after its handshake: throws. */
  readonly check: ((secure: tls.TLSSocket) => void) | undefined;
}

/**
 * Checks a certificate.
 *
 * @param options The certificate and its key, and who signs those of clients.
 * @returns Makes TLS sockets with it.
 * @throws {TypeError} If the certificate or the key is not PEM, or they do not belong together, or `clientCertificate` has no
 * meaning.
 */
export function createSecureServer(options: ServerTlsOptions): SecureServer {
  const { cert, key, caCerts, clientCertificate = "required" } = options;
  assertCertificates(cert, "tls.cert");
  assertPrivateKey(key, "tls.key");
  oneOf("tls.clientCertificate", clientCertificate, ["required", "optional"]);
  const ca = caCerts === undefined ? undefined : settleCertificates(caCerts, "tls.caCerts");
  if (ca?.length === 0) {
    throw new TypeError(mustBe("serve", "tls.caCerts", "one or more certificates in PEM", caCerts));
  }
  if (ca === undefined && options.clientCertificate !== undefined) {
    throw new TypeError("Cannot serve: tls.clientCertificate needs tls.caCerts, who signs the certificates");
  }
  assertPair(cert, key);
  const own = ownCertificates(ca ?? []);
  const { SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET } = builtin("node:crypto").constants;
  let secureContext: tls.SecureContext;
  try {
    secureContext = builtin("node:tls").createSecureContext({
      cert,
      key,
      // Without a list there would be the system's: to complete the chain of `cert`, which is to be sent as it is.
      ca: (ca ?? []).filter((pem) => !own.includes(pem)),
      // Under TLS 1.2 a client could make Node renegotiate as often as it likes; Bun and Deno never do. And what a session
      // was resumed from says nothing about the certificate's dates and authorities now.
      secureOptions: SSL_OP_NO_RENEGOTIATION | (ca === undefined ? 0 : SSL_OP_NO_TICKET),
    });
  } catch (cause) {
    throw new TypeError("Cannot serve: tls.cert and tls.key cannot be used together", { cause });
  }
  const required = ca !== undefined && clientCertificate === "required";
  return {
    upgrade: (raw) =>
      new (builtin("node:tls").TLSSocket)(raw, {
        isServer: true,
        secureContext,
        requestCert: ca !== undefined,
        rejectUnauthorized: required,
        ...{ highWaterMark: 0 },
      }),
    check: ca === undefined ? undefined : clientCheck(required, own),
  };
}

/** How many certificates are remembered, of which sessions may be resumed. */
const MAX_ACCEPTED = 10_000;

/**
 * Makes the check of clients' certificates for one server. Told to reject what is not authorized, Bun does so itself, but not
 * Node and Deno: there only a `tls.Server` looks at the verdict, and that makes its sockets read ahead.
 */
function clientCheck(required: boolean, own: readonly string[]): (secure: tls.TLSSocket) => void {
  // Deno (2.9.6) gives a session ticket to each client, before anybody can refuse it, and checks no certificate when one comes
  // back with it, from whichever server of the process it is.
  const accepted = new Set<string>();
  return (secure) => {
    const certificate = secure.getPeerX509Certificate();
    if (certificate === undefined) {
      if (!required) return;
      throw new SocketError("certificate-untrusted", "The client showed no certificate");
    }
    const { fingerprint256, validFrom, validTo } = certificate;
    // Not all look at the dates of a certificate that is itself in caCerts, and a session may outlive them.
    const now = Date.now();
    if (!(Date.parse(validFrom) <= now)) throw refusal("CERT_NOT_YET_VALID", `it is valid from ${validFrom}`);
    if (!(now <= Date.parse(validTo))) throw refusal("CERT_HAS_EXPIRED", `it was valid until ${validTo}`);
    if (secure.isSessionReused()) {
      if (!accepted.has(fingerprint256)) throw refusal("CERT_REJECTED", "the session proves nothing");
    } else {
      const problem = verificationError(secure);
      if (problem !== undefined && !isOneOf(own, certificate.raw)) throw refusal(problem, problem);
    }
    accepted.add(fingerprint256);
    if (accepted.size > MAX_ACCEPTED) accepted.delete(accepted.values().next().value!);
  };
}

/** What TLS has found wrong with a client's certificate; `undefined` for nothing. */
function verificationError(secure: tls.TLSSocket): string | undefined {
  if (secure.authorized) return undefined; // Bun
  const { _handle: handle } = secure as {
    _handle?: { verifyError?: () => { code: string } | string | null };
  };
  // Without this, which is what a tls.Server of Node and Deno asks, nobody is let in.
  if (handle?.verifyError === undefined) return `${secure.authorizationError || "CERT_REJECTED"}`;
  const error = handle.verifyError();
  return typeof error === "string" ? error || undefined : error?.code;
}

function refusal(code: string, why: string): Error {
  return Object.assign(new Error(why), { code });
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
