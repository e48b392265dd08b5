/**
 * Shared by all receivers.
 *
 * @module
 */
import process from "node:process";

/**
 * Tells the benchmark the port, and ends this process with the benchmark: a leftover would take CPU time from the next run.
 *
 * @param port The port.
 */
export function announce(port: number): void {
  console.log(JSON.stringify({ port }));
  process.stdin.on("end", () => process.exit(0)).resume();
}
