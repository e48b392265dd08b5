/**
 * Starts other people's servers on loopback, each in its own folder.
 * @module
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { createAuthority, type LeafOptions } from "./certificates.ts";
import { type MailFolders, MailStore } from "./mail_store.ts";
import { makePeerFolder, type PeerCommand, PeerProcess } from "./peer_process.ts";
import { findPorts } from "./ports.ts";

/** Where `.ci/install_peers` puts what does not come from Debian's own installer. */
export const PEERS_FOLDER = fileURLToPath(new URL("../../.cache/peers/", import.meta.url));

/** The one login that all of them accept. */
export const USER = "user";
export const PASS = "open-sesame";

/** A running server. It is at `localhost`, `127.0.0.1`. */
export interface PeerServer extends AsyncDisposable {
  /** Its name, for messages. */
  readonly name: string;
  /** Its ports, in the order that its module gives. */
  readonly ports: readonly number[];
  /** The folder it runs in. */
  readonly folder: string;
  /** The certificate that signed the server's, PEM. */
  readonly ca: string;
  /** The user that may log in. */
  readonly user: string;
  /** The user's password. */
  readonly pass: string;
  /** What it has delivered. */
  readonly mail: MailStore;
  /** What it has logged so far. */
  log(): string;
  /** Stops it, waits until it has ended, and removes its folder. */
  stop(): Promise<void>;
}

/** What a server's folder is made from. */
export interface PeerSetting {
  /** An empty folder that every user may read. */
  folder: string;
  /** The ports to listen on. */
  ports: readonly number[];
  /** The server's certificate with its key, the files' paths. They belong to root; see {@linkcode giveTo}. */
  certificate: string;
  key: string;
}

/** How a server is started when its folder is ready. */
export interface PeerLayout extends PeerCommand, MailFolders {
  /** Paths of unix sockets that it accepts connections at besides its ports. */
  sockets?: readonly string[];
}

/** How to start a server. */
export interface PeerRecipe {
  /** Its name, for messages. */
  name: string;
  /** How many ports it listens on. */
  ports: number;
  /** Options of its certificate. */
  certificate?: LeafOptions;
  /** Fills its folder. */
  layOut(setting: PeerSetting): PeerLayout;
}

/** Starts a server and waits until it accepts connections. */
export async function startPeer(recipe: PeerRecipe): Promise<PeerServer> {
  const authority = await createAuthority();
  const { cert, key } = await authority.issue(recipe.certificate);
  for (let attempt = 1;; attempt++) {
    const ports = await findPorts(recipe.ports);
    const folder = makePeerFolder(recipe.name.toLowerCase().replaceAll(/\W+/g, "-"));
    let running: PeerProcess | undefined;
    try {
      chmodSync(folder, 0o755); // servers drop root and must still get in
      const setting = {
        folder,
        ports,
        certificate: join(folder, "server.pem"),
        key: join(folder, "server.key"),
      };
      writeFileSync(setting.certificate, cert);
      writeFileSync(setting.key, key, { mode: 0o600 });
      const layout = recipe.layOut(setting);
      const peer = running = new PeerProcess(recipe.name, folder, layout);
      await peer.ready([...ports, ...layout.sockets ?? []]);
      const log = () => peer.log();
      const stop = () => peer.stop();
      return {
        name: recipe.name,
        ports,
        folder,
        ca: authority.cert,
        user: USER,
        pass: PASS,
        mail: new MailStore(layout, log),
        log,
        stop,
        [Symbol.asyncDispose]: stop,
      };
    } catch (error) {
      await running?.stop();
      rmSync(folder, { recursive: true, force: true });
      // Another program may have taken a port since we looked.
      if (attempt === 3 || !/address already in use|EADDRINUSE/i.test(String(error))) throw error;
    }
  }
}

/** Makes folders that belong to a user of the system. */
export function makeFolders(user: string, ...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(path, { recursive: true });
    giveTo(user, path);
  }
}

/** Gives a file or a folder to a user of the system. */
export function giveTo(user: string, path: string): void {
  chownSync(path, userId(user), 0);
}

/** Looks up the number of a user of the system. */
export function userId(name: string): number {
  const line = readFileSync("/etc/passwd", "utf8").split("\n").find((line) => line.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`/etc/passwd has no ${name}`);
  return Number(line.split(":")[2]);
}
