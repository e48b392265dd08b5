/**
 * The channel binding of a connection.
 *
 * @module
 */
import { type ChannelBinding, tlsServerEndPoint } from "../sasl/channel_binding.ts";
import type { SocketInfo } from "../sockets/socket.ts";

/**
 * The channel binding for a login: `tls-exporter` with TLS 1.3, where the runtime exports keying material (RFC 9266,
 * section 3: the default there), else `tls-server-end-point`. With TLS 1.2, `tls-exporter` would need the extended master
 * secret (RFC 9266, section 4.1), and no runtime tells of that.
 *
 * @param info What is known of the connection.
 * @returns The channel binding; `undefined` without TLS, and where the runtime shows nothing to make one of.
 */
export async function channelBindingOf({ tls = {} }: SocketInfo): Promise<ChannelBinding | undefined> {
  const { protocol, peerCertificate, exportKeyingMaterial } = tls;
  if (protocol === "TLSv1.3" && exportKeyingMaterial !== undefined) {
    const data = exportKeyingMaterial(32, "EXPORTER-Channel-Binding", new Uint8Array());
    return { type: "tls-exporter", data };
  }
  return peerCertificate && await tlsServerEndPoint(peerCertificate);
}
