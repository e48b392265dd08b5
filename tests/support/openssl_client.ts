/**
 * OpenSSL's `s_client`: a TLS client that shows the chain it gets, saves its session and comes back with it, and renegotiates
 * when it is told to.
 * @module
 */
import { spawn } from "node:child_process";

/** What it is told to do. */
export interface OpensslClientOptions {
  /** The server's port. */
  port: number;
  /** Its arguments besides the address. */
  args: readonly string[];
  /** What it says when its output has a text; in this order. */
  dialogue: readonly (readonly [heard: string, said: string])[];
  /** The text at which it is ended. Default: it ends when the server does. */
  until?: string;
}

/** Runs it to its end and returns all that it has written, its own words among those of the server. */
export async function runOpensslClient(
  { port, args, dialogue, until }: OpensslClientOptions,
): Promise<string> {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args]);
  const rest = [...dialogue];
  let output = "";
  let seen = 0;
  const onData = (bytes: Uint8Array) => {
    output += new TextDecoder().decode(bytes);
    while (rest.length > 0) {
      const [heard, said] = rest[0]!;
      const at = output.indexOf(heard, seen);
      if (at < 0) break;
      seen = at + heard.length;
      rest.shift();
      child.stdin.write(said);
    }
    if (until !== undefined && rest.length === 0 && output.includes(until, seen)) child.kill();
  };
  child.stdout.on("data", onData);
  child.stderr.on("data", onData);
  child.stdin.on("error", () => {}); // it may have ended by itself
  await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return output;
}
