/**
 * Where Chromium is.
 * @module
 */
import process from "node:process";
import { findProgram } from "../support/peers.ts";

/** What Chromium may be called. Debian has the first. */
export const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The browser's program: what the environment's `CHROMIUM` says, else the first there is. */
export function findChromium(): string | undefined {
  const given = process.env.CHROMIUM;
  return given === undefined ? NAMES.map(findProgram).find((path) => path !== undefined) : findProgram(given);
}
