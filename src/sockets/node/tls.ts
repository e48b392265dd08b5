/**
 * TLS handshakes by `node:tls`.
 *
 * @module
 */
import type net from "node:net";
import type { Duplex } from "node:stream";
import type tls from "node:tls";
import { abortable } from "../abortable.ts";
import { builtin } from "../runtime.ts";
import { isIpAddress, type TlsSettings } from "../settings.ts";
import { ownCertificates, trustedCertificates } from "../tls.ts";

/**
 * Does the client's handshake.
 *
 * @param raw The socket or stream to speak TLS over. It is closed if the handshake fails.
 * @param settings How to do TLS.
 * @param signal Gives up.
 * @returns The TLS socket, after the handshake and the check of the certificate's issuer and dates. Whom it is for is left to `checkCertificate()`.
 */
export async function startNodeTls(
  raw: Duplex,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  try {
    return await handshake(begin(raw, settings), "secureConnect", signal);
  } catch (error) {
    raw.destroy(); // node:tls throws at once if a key is not the certificate's
    throw error;
  }
}

function begin(raw: Duplex, settings: TlsSettings): tls.TLSSocket {
  const { serverName, alpnProtocols, verify, caCerts } = settings;
  return builtin("node:tls").connect({
    socket: raw as net.Socket,
    ...{ allowHalfOpen: true }, // Bun does not take it over from the socket
    // Otherwise checkIssuer() does so after the handshake.
    rejectUnauthorized: verify && ownCertificates(caCerts).length === 0,
    checkServerIdentity: () => undefined, // each runtime has a rule of its own
    // An IP address is never sent as a name (RFC 6066, section 3).
    ...(serverName !== undefined && { host: serverName }),
    ...(serverName !== undefined && !isIpAddress(serverName) && { servername: serverName }),
    secureContext: secureContextOf(settings),
    ...(alpnProtocols.length > 0 && { ALPNProtocols: [...alpnProtocols] }),
  });
}

/** Enough for the servers and logins of one program; one context is about 250 KB where it has certificates of the caller's. */
const MAX_CONTEXTS = 16;

/** The contexts that were made, the last used ones last: to read all authorities again takes 15 to 30 ms a connection. */
const contexts = new Map<string, tls.SecureContext>();

function secureContextOf({ verify, caCerts, cert, key }: TlsSettings): tls.SecureContext {
  const name = JSON.stringify([verify, caCerts, cert, key]);
  let context = contexts.get(name);
  if (context === undefined) {
    const ca = verify ? trustedCertificates(caCerts) : undefined;
    context = builtin("node:tls").createSecureContext({
      ...(ca !== undefined && { ca }),
      // Under TLS 1.2 Node would let the server show another certificate, after ours was checked. Elsewhere nobody would.
      secureOptions: builtin("node:crypto").constants.SSL_OP_NO_RENEGOTIATION,
      ...(cert !== undefined && key !== undefined && { cert, key }),
    });
  }
  contexts.delete(name);
  contexts.set(name, context);
  if (contexts.size > MAX_CONTEXTS) contexts.delete(contexts.keys().next().value!);
  return context;
}

/**
 * Waits for a handshake.
 *
 * @param secure The TLS socket. It is destroyed if the handshake fails.
 * @param event `"secureConnect"` for a client's, `"secure"` for a server's.
 * @param signal Gives up.
 * @returns The TLS socket.
 */
export async function handshake(
  secure: tls.TLSSocket,
  event: "secureConnect" | "secure",
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ended = () =>
    reject(Object.assign(new Error("The peer ended the TLS handshake"), { code: "ECONNRESET" }));
  const finish = () => resolve();
  secure.on(event, finish);
  secure.on("error", reject);
  secure.on("_tlsError", reject); // on the server's side of Node nothing else reports it
  secure.on("end", ended);
  secure.on("close", ended);
  try {
    await abortable(promise, signal);
    return secure;
  } catch (error) {
    secure.on("error", () => {}); // nobody waits for what comes after the first error
    secure.destroy();
    throw error;
  } finally {
    secure.off(event, finish);
    secure.off("error", reject);
    secure.off("_tlsError", reject);
    secure.off("end", ended);
    secure.off("close", ended);
  }
}
