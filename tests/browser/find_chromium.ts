/**
 * Finds Chromium.
 * @module
 */
import process from "node:process";
import { findProgram } from "../support/peers.ts";

/** The names of Chromium's program. Debian uses the first. */
export const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Finds the browser's program: the one in the environment variable `CHROMIUM`, else the first that exists. */
export function findChromium(): string | undefined {
  const given = process.env.CHROMIUM;
  return given === undefined ? NAMES.map(findProgram).find((path) => path !== undefined) : findProgram(given);
}
