/**
 * What a TLS socket of `node:tls`, or of Bun's, says about itself.
 *
 * @module
 */
import { builtin } from "./builtin.ts";
import type { SocketInfo, TlsInfo } from "./socket.ts";

/** The part of a TLS socket that is used here: of Node's, or of Bun's own. Not all have all of it. */
export interface TlsSource {
  readonly alpnProtocol?: string | false | null;
  readonly servername?: string | false | null;
  /** Node. */
  getProtocol?(): string | null;
  /** Bun. */
  getTLSVersion?(): string;
  getCipher?(): { standardName?: string; name?: string } | undefined;
  getPeerX509Certificate?(): { raw: Uint8Array } | undefined;
  /** Not on Deno (2.9.6). */
  exportKeyingMaterial?(length: number, label: string, context: Uint8Array): Uint8Array;
}

/**
 * What is known of a TLS socket.
 *
 * @param socket The socket, the handshake done.
 */
export function describeTls(socket: TlsSource): Pick<SocketInfo, "alpn" | "tls"> {
  const protocol = socket.getProtocol?.() ?? socket.getTLSVersion?.();
  const cipher = socket.getCipher?.();
  const cipherName = cipher?.standardName ?? cipher?.name;
  const certificate = socket.getPeerX509Certificate?.()?.raw;
  const tls: TlsInfo = {
    ...(protocol && { protocol }),
    ...(cipherName && { cipher: cipherName }),
    ...(socket.servername && { serverName: socket.servername }),
    // Not a Buffer, whose slice() is a view where a Uint8Array's is a copy.
    ...(certificate !== undefined && { peerCertificate: new Uint8Array(certificate) }),
    ...(socket.exportKeyingMaterial !== undefined && { exportKeyingMaterial: exporter(socket) }),
  };
  return { alpn: socket.alpnProtocol || null, tls };
}

function exporter(socket: TlsSource): NonNullable<TlsInfo["exportKeyingMaterial"]> {
  return (length, label, context) => {
    // Up to TLS 1.2 an empty context is not the same as none (RFC 5705, section 4); Bun knows one from a Buffer alone.
    const { Buffer } = builtin("node:buffer");
    return new Uint8Array(socket.exportKeyingMaterial!(length, label, Buffer.from(context)));
  };
}
