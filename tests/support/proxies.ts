/**
 * Other people's proxies: microsocks for SOCKS5 and tinyproxy for HTTP CONNECT. Each requires {@linkcode USER} and
 * {@linkcode PASS}.
 *
 * Port: the proxy.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PASS, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

/** Returns why microsocks cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function microsocksMissing(): string | undefined {
  return peerMissing("microsocks", { programs: ["microsocks", "setsid"] });
}

/** Starts microsocks and waits until it accepts connections. */
export function startMicrosocks(): Promise<PeerServer> {
  return startPeer({
    name: "microsocks",
    ports: 1,
    layOut: ({ folder, ports }) => ({
      mail: folder, // it has none
      command: ["microsocks", "-i", "127.0.0.1", "-p", String(ports[0]), "-u", USER, "-P", PASS],
    }),
  });
}

/** Returns why tinyproxy cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function tinyproxyMissing(): string | undefined {
  return peerMissing("tinyproxy", { programs: ["tinyproxy", "setsid"] });
}

/** Starts tinyproxy and waits until it accepts connections. */
export function startTinyproxy(): Promise<PeerServer> {
  return startPeer({
    name: "tinyproxy",
    ports: 1,
    layOut({ folder, ports }) {
      const configuration = join(folder, "tinyproxy.conf");
      writeFileSync(
        configuration,
        `Port ${ports[0]}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nBasicAuth ${USER} ${PASS}\n`,
      );
      return { command: ["tinyproxy", "-d", "-c", configuration], mail: folder };
    },
  });
}
