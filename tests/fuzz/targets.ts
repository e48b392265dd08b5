/** All that is fuzzed. @module */
import { addresses } from "./addresses.ts";
import { commandParser } from "./command_parser.ts";
import { channel } from "./channel.ts";
import { client } from "./client.ts";
import { codecs } from "./codecs.ts";
import { contents } from "./contents.ts";
import { extensions } from "./extensions.ts";
import { login } from "./login.ts";
import { replyDecoder } from "./reply_decoder.ts";
import { Random } from "./random.ts";
import { sasl } from "./sasl.ts";
import { server } from "./server.ts";
import type { Notes, Target } from "./target.ts";

/** All targets, the quick ones first. */
export const targets: readonly Target[] = [
  replyDecoder,
  commandParser,
  codecs,
  addresses,
  extensions,
  sasl,
  server,
  channel,
  contents,
  login,
  client,
];

/**
 * Plays one case of a target.
 *
 * @param target The target.
 * @param seed What the case follows from.
 * @param notes Takes what a person may want to see.
 * @returns What was found.
 */
export async function play(target: Target, seed: number, notes: Notes): Promise<Error | undefined> {
  try {
    await target.play(new Random(seed), notes);
    const [stray] = notes.strays.take();
    return stray === undefined ? undefined : new Error(`Nobody caught: ${stray}`, { cause: stray });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
