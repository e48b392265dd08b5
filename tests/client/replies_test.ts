/** Replies as servers write them, and what a session makes of them. @module */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { ALL_PIECES, type Pieces, replay } from "../support/replay.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MESSAGE = "Subject: x\r\n\r\nx\r\n";

/** A session with one mail; `\t` is a tab. */
async function session(
  lines: string[],
  pieces: Pieces,
  body: (client: SmtpClient) => Promise<void>,
): Promise<void> {
  const { socket, done } = replay(lines.join("\n").replaceAll("\\t", "\t"), pieces);
  const client = await SmtpClient.connect({ socket, security: "none", clientName: "client.test" });
  await body(client);
  await client.close().catch(() => {});
  await done;
}

const GREETING = ["S: 220 mx.test ESMTP", "C: EHLO client.test"];
const TRANSACTION = [
  "C: MAIL FROM:<me@example.com>",
  "S: 250 Ok",
  "C: RCPT TO:<you@example.org>",
  "S: 250 Ok",
  "C: DATA",
  "S: 354 Go on",
  "C: Subject: x",
  "C:",
  "C: x",
  "C: .",
];

for (const pieces of ALL_PIECES) {
  for (
    const reply of [
      "250\\tOk: queued as 4XyZ",
      "250Ok: queued as 4XyZ",
      "250-2.0.0 Ok\n S: 251\\tqueued as 4XyZ",
    ]
  ) {
    test(`SmtpClient.send() takes ${JSON.stringify(reply)} after the content for a receipt (${pieces})`, () =>
      session(
        [
          "S: 220\\tmx.test",
          "C: EHLO client.test",
          "S: 250-mx.test",
          "S: 250\\t8BITMIME",
          ...TRANSACTION,
          `S: ${reply}`,
        ],
        pieces,
        async (client) => {
          assertEquals(client.extensions.eightBitMime, true);
          const receipt = await client.send(ENVELOPE, MESSAGE);
          assertEquals(receipt.queueId, "4XyZ");
        },
      ));
  }

  for (const reply of ["S: 554-no\nS: 250 or yes", "S: 250-yes\nS: 554 or no"]) {
    test(`SmtpClient.send() cannot tell what became of the message after ${JSON.stringify(reply)} (${pieces})`, () =>
      session([...GREETING, "S: 250 mx.test", ...TRANSACTION, reply], pieces, async (client) => {
        const error = await rejectsWith("protocol-error", () => client.send(ENVELOPE, MESSAGE));
        assertEquals(error.outcome, "unknown");
        assertEquals(client.usable, false);
      }));
  }
}

test("SmtpClient takes a reply to EHLO of thousands of lines", () =>
  session(
    [...GREETING, ...Array.from({ length: 5000 }, (_, i) => `S: 250-X${i}`), "S: 250 SIZE 1000"],
    "whole",
    (client) => {
      assertEquals(client.extensions.size, 1000);
      assert(client.extensions.has("x4999"));
      return Promise.resolve();
    },
  ));
