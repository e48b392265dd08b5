/**
 * Finds out which of other people's servers and clients are installed, and whether they have to be.
 *
 * A test that needs one takes the reason from here as its `skip`. With `SMTP_PEERS=required` in the environment, as in
 * `.ci/run`, nothing is skipped: a missing one is an error.
 * @module
 */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** Where Debian keeps servers, whatever the PATH of the user is. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Finds a program on the PATH or where servers are kept. */
export function findProgram(name: string): string | undefined {
  if (name.startsWith("/")) return isExecutable(name) ? name : undefined;
  const folders = [...(process.env["PATH"] ?? "").split(":"), ...SYSTEM_FOLDERS];
  return folders.filter((folder) => folder !== "").map((folder) => `${folder}/${name}`).find(isExecutable);
}

/** Whether the Cyrus SASL library, which Postfix and others log in with, has a plugin, such as `"plain"`. */
export function hasSaslPlugin(name: string): boolean {
  const folders = ["/usr/lib/sasl2"];
  for (const entry of existsSync("/usr/lib") ? readdirSync("/usr/lib") : []) {
    folders.push(`/usr/lib/${entry}/sasl2`);
  }
  return folders.some((folder) => existsSync(`${folder}/lib${name}.so`));
}

/** What a peer needs. */
export interface PeerNeeds {
  /** Programs, by name or by path. */
  programs?: string[];
  /** Files, by path. */
  files?: string[];
  /** Cyrus SASL plugins. */
  saslPlugins?: string[];
  /** Users of the system. */
  users?: string[];
  /** Whether it has to be started as root. Default: `false`. */
  root?: boolean;
}

/**
 * Returns why a peer cannot be tested.
 * @param peer Its name, for messages.
 * @param needs What it needs.
 * @returns The reason; `undefined` if everything is here.
 * @throws {Error} If the peer cannot be tested and `SMTP_PEERS` is `required`.
 */
export function peerMissing(peer: string, needs: PeerNeeds): string | undefined {
  const { programs = [], files = [], saslPlugins = [], users = [], root = false } = needs;
  const absent = [
    ...programs.filter((program) => findProgram(program) === undefined),
    ...files.filter((file) => !existsSync(file)),
    ...saslPlugins.filter((plugin) => !hasSaslPlugin(plugin)).map((plugin) => `SASL plugin ${plugin}`),
    ...users.filter((user) => !hasUser(user)).map((user) => `user ${user}`),
  ];
  const reason = absent.length > 0
    ? `${peer} is not installed: no ${absent.join(", no ")}`
    : root && process.getuid?.() !== 0
    ? `${peer} has to be started as root`
    : undefined;
  if (reason !== undefined && process.env["SMTP_PEERS"] === "required") {
    throw new Error(`${reason}, and SMTP_PEERS is "required"`);
  }
  return reason;
}

function hasUser(name: string): boolean {
  return existsSync("/etc/passwd") && readFileSync("/etc/passwd", "utf8").includes(`\n${name}:`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
