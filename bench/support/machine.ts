/**
 * Decides which CPU runs what. Without `taskset` nothing is pinned to a CPU, and the tables say so.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { findProgram } from "../../tests/support/peers.ts";

const taskset = findProgram("taskset");

/** Whether processes can be pinned to a CPU. */
export const canPin = taskset !== undefined && availableParallelism() > 1;

/** The senders' CPU. */
export const SENDER_CPU = 0;
/** The receivers' CPU, unless they share the senders'. */
export const RECEIVER_CPU = 1;
/** The relay's CPU: one of its own, if there are three. */
export const RELAY_CPU: number = availableParallelism() > 2 ? 2 : RECEIVER_CPU;

/**
 * Makes a command run on one CPU.
 *
 * @param cpu The CPU's number; `undefined` for any CPU.
 * @param command The program and its arguments.
 */
export function pinned(cpu: number | undefined, command: readonly string[]): string[] {
  return canPin && cpu !== undefined ? [taskset!, "-c", String(cpu), ...command] : [...command];
}

/** Pins this process, and those that it starts from now on, to the receivers' CPU: out of the senders' way. */
export async function stepAside(): Promise<void> {
  if (!canPin) return;
  const args = ["-a", "-p", "-c", String(RECEIVER_CPU), String(Deno.pid)];
  await new Deno.Command(taskset!, { args, stdout: "null", stderr: "null" }).output();
}
