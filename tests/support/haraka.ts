/**
 * Starts Haraka, a server on Node made of plugins.
 *
 * Ports: SMTP with STARTTLS and AUTH, the same with implicit TLS. It answers `reject@…` with 550.
 * @module
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PASS, PEERS_FOLDER, type PeerServer, startPeer, USER } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

const MODULE = `${PEERS_FOLDER}npm/node_modules/Haraka`;

/** Returns why Haraka cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function harakaMissing(): string | undefined {
  return peerMissing("Haraka", { programs: ["node", "setsid"], files: [`${MODULE}/haraka.js`] });
}

/** Starts Haraka and waits until it accepts connections. */
export function startHaraka(): Promise<PeerServer> {
  return startPeer({
    name: "Haraka",
    ports: 2,
    layOut({ folder, ports, certificate, key }) {
      for (const name of ["config", "config/auth", "plugins", "mail", "queue"]) mkdirSync(join(folder, name));
      copyFileSync(
        fileURLToPath(new URL("haraka_record.js", import.meta.url)),
        join(folder, "plugins/record.js"),
      );
      for (const [name, content] of Object.entries(configuration(ports, certificate, key))) {
        writeFileSync(join(folder, "config", name), content);
      }
      return {
        command: ["node", `${MODULE}/bin/haraka`, "-c", folder],
        env: { RECORD_FOLDER: folder },
        mail: join(folder, "mail"),
      };
    },
  });
}

function configuration(ports: readonly number[], certificate: string, key: string): Record<string, string> {
  const [plain, tls] = ports;
  return {
    "me": "mx.test\n",
    "plugins": ["tls", "auth/flat_file", "record", "rcpt_to.in_host_list"].join("\n") + "\n",
    "host_list": "example.org\nexample.com\n",
    "smtp.ini": `listen=127.0.0.1:${plain},127.0.0.1:${tls}\nsmtps_port=${tls}\nnodes=0\n`,
    "tls.ini": `key=${key}\ncert=${certificate}\n`,
    // After a wrong password it waits for a second, but never for as long as its limit for plugins.
    "auth/flat_file.timeout": "1\n",
    "auth_flat_file.ini": `[core]\nmethods=PLAIN,LOGIN,CRAM-MD5\n[users]\n${USER}=${PASS}\n`,
    "dhparams.pem": DH_PARAMETERS,
    "log.ini": "[main]\nlevel=warn\n",
    // The whole file, or it crashes.
    "connection.ini": readFileSync(`${MODULE}/config/connection.ini`, "utf8")
      .replace(/^bytes=.*/m, "bytes=209715200"),
  };
}

/** ffdhe2048 (RFC 7919, appendix A.1). Without it Haraka computes its own for minutes, in a process that outlives it. */
const DH_PARAMETERS = `-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
`;
