/**
 * The client's side of TLS by `node:tls`.
 *
 * @module
 */
import type net from "node:net";
import type { Duplex } from "node:stream";
import type tls from "node:tls";
import { authorities } from "./authorities.ts";
import { builtin } from "./builtin.ts";
import { isIpAddress, type TlsSettings } from "./settings.ts";

/**
 * Does the client's handshake.
 *
 * @param raw What to speak TLS over. It is closed if the handshake fails.
 * @param settings How.
 * @param signal Gives up.
 * @returns The TLS socket, the handshake done and the certificate checked.
 */
export function startNodeTls(
  raw: Duplex,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const { serverName, cert, key, alpnProtocols, verify } = settings;
  const ca = verify ? authorities(settings.caCerts) : undefined;
  const secure = builtin("node:tls").connect({
    socket: raw as net.Socket,
    ...{ allowHalfOpen: true }, // Bun does not take it over from the socket
    rejectUnauthorized: verify,
    // An IP address is checked like a name, but never sent as one (RFC 6066, section 3).
    ...(serverName !== undefined && { host: serverName }),
    ...(serverName !== undefined && !isIpAddress(serverName) && { servername: serverName }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    ...(alpnProtocols.length > 0 && { ALPNProtocols: [...alpnProtocols] }),
  });
  return handshake(secure, "secureConnect", signal);
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
  const abort = () => reject(signal.reason);
  const ended = () =>
    reject(Object.assign(new Error("The peer ended the TLS handshake"), { code: "ECONNRESET" }));
  const finish = () => resolve();
  secure.on(event, finish);
  secure.on("error", reject);
  secure.on("_tlsError", reject); // Node, on the server's side, tells it only so
  secure.on("end", ended);
  secure.on("close", ended);
  signal.addEventListener("abort", abort);
  try {
    signal.throwIfAborted();
    await promise;
    return secure;
  } catch (error) {
    secure.on("error", () => {}); // what comes after the first error has nobody to go to
    secure.destroy();
    throw error;
  } finally {
    secure.off(event, finish);
    secure.off("error", reject);
    secure.off("_tlsError", reject);
    secure.off("end", ended);
    secure.off("close", ended);
    signal.removeEventListener("abort", abort);
  }
}
