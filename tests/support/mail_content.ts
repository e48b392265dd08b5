/**
 * Messages for real servers, and how the servers deliver them.
 * @module
 */
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import type { DeliveredMail } from "./mail_store.ts";

/** The header of a message that no server has to complete. */
export function messageHeader(id: string): string {
  return `From: sender@example.com
To: someone@example.org
Subject: Message ${id}
Date: Sun, 22 Nov 2026 12:00:00 +0000
Message-ID: <${id}@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

`;
}

/** Lines of all lengths, with dots at both ends, that end in LF, CRLF and CR by turns. */
export function mixedLines(size: number): string {
  const ends = ["\n", "\r\n", "\n", "\r", "\r\n"];
  const starts = ["", ".", "..", "x.", ". ", "...", "\u00e9"];
  const parts: string[] = [];
  for (let i = 0, length = 0; length < size; i++) {
    const part = starts[i % starts.length] + "abcdefghij".repeat((i * 7) % 60) + i + ends[i % ends.length];
    parts.push(part);
    length += part.length;
  }
  return parts.join("");
}

/** Pieces of 1 to 100,000 bytes: sooner or later a border falls in every awkward place. */
export async function* inAwkwardPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const length = i % 3 === 0 ? 1 + i % 5 : (i * 7919) % 100_000 + 1;
    yield bytes.subarray(offset, offset + length);
    offset += length;
    if (i % 16 === 0) await Promise.resolve();
  }
}

/** A message as servers must deliver it: each line end is LF, and the last line has one. Simple on purpose. */
export function inLines(message: string): string {
  const lines = message.replaceAll(/\r\n|\r|\n/g, "\n");
  return lines.endsWith("\n") ? lines : lines + "\n";
}

/**
 * What was delivered, in lines that end in LF. A Maildir has LF; other stores keep the CRLF of the wire, and
 * then every one of them, so that a bare CR or LF is found.
 */
export function deliveredLines({ content }: DeliveredMail): string {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString("utf8");
  if (!text.includes("\r")) return text;
  const bare = /\r(?!\n)|(?<!\r)\n/.exec(text);
  assert(bare === null, `a bare ${bare?.[0] === "\r" ? "CR" : "LF"} at ${bare?.index} of ${text.length}`);
  return text.replaceAll("\r\n", "\n");
}

/** Fails unless the message was delivered byte for byte. Does not print megabytes. */
export function assertDelivered(mail: DeliveredMail, message: string): void {
  const actual = deliveredLines(mail);
  const expected = inLines(message);
  if (actual === expected) return;
  let at = 0;
  while (actual[at] === expected[at]) at++;
  const around = (text: string) => text.slice(Math.max(0, at - 40), at + 40);
  assertEquals(
    around(actual),
    around(expected),
    `character ${at} of ${actual.length} differs, of ${expected.length}`,
  );
}
