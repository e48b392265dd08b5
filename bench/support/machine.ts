/**
 * Which CPU does what. Without `taskset` nothing is pinned, and the tables say so.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { findProgram } from "../../tests/support/peers.ts";

const taskset = findProgram("taskset");

/** Whether processes can be tied to a CPU. */
export const canPin = taskset !== undefined && availableParallelism() > 1;

/** Where the senders run. */
export const SENDER_CPU = 0;
/** Where the receivers run, unless they share the senders' CPU. */
export const RECEIVER_CPU = 1;
/** Where the relay runs: on a CPU of its own where there are three. */
export const RELAY_CPU: number = availableParallelism() > 2 ? 2 : RECEIVER_CPU;

/**
 * A command that runs on one CPU alone.
 *
 * @param cpu Its number; `undefined` for any.
 * @param command The program and its arguments.
 */
export function pinned(cpu: number | undefined, command: readonly string[]): string[] {
  return canPin && cpu !== undefined ? [taskset!, "-c", String(cpu), ...command] : [...command];
}

/**
 * Ties this process, with what it starts from now on, to the receivers' CPU: out of the senders' way.
 */
export async function stepAside(): Promise<void> {
  if (!canPin) return;
  const args = ["-a", "-p", "-c", String(RECEIVER_CPU), String(Deno.pid)];
  await new Deno.Command(taskset!, { args, stdout: "null", stderr: "null" }).output();
}
