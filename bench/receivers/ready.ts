/**
 * What all receivers share.
 *
 * @module
 */
import process from "node:process";

/**
 * Tells the benchmark where to connect to, and ends with it: whoever is left behind takes CPU from the next run.
 *
 * @param port The port.
 */
export function announce(port: number): void {
  console.log(JSON.stringify({ port }));
  process.stdin.on("end", () => process.exit(0)).resume();
}
