/** Tests that replay a conversation with a server. @module */
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { test } from "./harness.ts";
import { ALL_PIECES, replay } from "./replay.ts";
import type { Replay } from "./replay.ts";

/** What a test does with the conversation. */
export type Body = (client: SmtpClient, replay: Replay) => Promise<void>;

/** The greeting, and EHLO with these extensions. */
export function hello(...extensions: string[]): string {
  return `S: 220 mx.test ESMTP\n${ehlo(...extensions)}`;
}

/** EHLO alone. */
export function ehlo(...extensions: string[]): string {
  const lines = ["mx.test", ...extensions];
  const replies = lines.map((line, index) => `S: 250${index === lines.length - 1 ? " " : "-"}${line}`);
  return ["C: EHLO client.test", ...replies].join("\n");
}

/** QUIT. */
export const QUIT = "C: QUIT\nS: 221 Bye";

/** Replays a conversation: connects, runs the test, and quits. If the transcript begins with EHLO, the test sends it. */
export async function converse(
  transcript: string,
  body: Body,
  options: SmtpClientOptions & { only?: "greeting" } = {},
  pieces: (typeof ALL_PIECES)[number] = "whole",
): Promise<void> {
  const { only, ...more } = options;
  const played = replay(transcript.replaceAll(/^(\s*C:)$/gm, "$1 "), pieces);
  const all = { socket: played.socket, clientName: "client.test", security: "none", ...more } as const;
  try {
    await using client = await (only === "greeting" ? SmtpClient.open(all) : SmtpClient.connect(all));
    await body(client, played);
  } catch (error) {
    await played.done; // if the client has said something else, that error tells more
    throw error;
  }
  await played.done;
}

/** Declares a test that replays a conversation, once for each way in which the server's bytes may arrive. */
export function conversation(
  name: string,
  transcript: string,
  body: Body,
  options?: SmtpClientOptions & { only?: "greeting" },
): void {
  for (const pieces of ALL_PIECES) {
    test(`${name} (${pieces})`, () => converse(transcript, body, options, pieces));
  }
}
