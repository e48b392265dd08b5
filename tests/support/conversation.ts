/** Tests that replay a conversation with a server. @module */
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { test } from "./harness.ts";
import { ALL_PIECES, replay } from "./replay.ts";
import type { Pieces, Replay } from "./replay.ts";

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
export function converse(
  transcript: string,
  body: Body,
  options: SmtpClientOptions & { only?: "greeting" } = {},
  pieces: Pieces = "whole",
): Promise<void> {
  const { only, ...more } = options;
  return converseUnconnected(transcript, async (given, played) => {
    const all = { ...given, ...more };
    await using client = await (only === "greeting" ? SmtpClient.open(all) : SmtpClient.connect(all));
    await body(client, played);
  }, pieces);
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

/** What a test that connects by itself does: it gets the options to connect with. */
export type UnconnectedBody = (
  options: SmtpClientOptions & { socket: Socket },
  replay: Replay,
) => Promise<unknown>;

/** Replays a conversation with a test that connects by itself. */
export async function converseUnconnected(
  transcript: string,
  body: UnconnectedBody,
  pieces: Pieces = "whole",
): Promise<void> {
  const played = replay(transcript, pieces);
  try {
    await body({ socket: played.socket, clientName: "client.test", security: "none" }, played);
  } catch (error) {
    await played.done; // if the client has said something else, that error tells more
    throw error;
  }
  await played.done;
}

/** Declares a test as {@linkcode conversation} does, which connects by itself. */
export function unconnected(name: string, transcript: string, body: UnconnectedBody): void {
  for (const pieces of ALL_PIECES) {
    test(`${name} (${pieces})`, () => converseUnconnected(transcript, body, pieces));
  }
}
