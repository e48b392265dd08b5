/** How a session ends before its time: each mail is told what became of it, and no more is lost than has to be. */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { conversation, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { ALL_PIECES, replay } from "../support/replay.ts";
import type { Pieces, Replay } from "../support/replay.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MAIL = "C: MAIL FROM:<me@example.com>\n";
const RCPT = "C: RCPT TO:<you@example.org>\n";
const BDAT = "C: BDAT 4 LAST\nC: A:\n";
const BOTH = hello("PIPELINING", "CHUNKING") + "\n";
const OK = "S: 250 Ok\n";

/** What became of each mail. */
function told(results: PromiseSettledResult<unknown>[]): string[] {
  return results.map((result) => {
    if (result.status === "fulfilled") return "receipt";
    assert(result.reason instanceof SmtpError, `${result.reason}`);
    const { code, outcome, temporary, reply } = result.reason;
    return `${code} ${outcome}${temporary ? " temporary" : ""}${reply ? ` ${reply.code}` : ""}`;
  });
}

async function session(
  transcript: string,
  body: (client: SmtpClient, played: Replay) => Promise<void>,
  pieces: Pieces = "whole",
  options: SmtpClientOptions = {},
): Promise<void> {
  const played = replay(transcript, pieces);
  const all = { socket: played.socket, clientName: "client.test", security: "none", ...options } as const;
  const client = await SmtpClient.connect(all);
  try {
    await body(client, played);
  } catch (error) {
    await client.close();
    throw error;
  } finally {
    await client.closed;
    await played.done.catch(() => {});
  }
}

// eYou, citic.com (wneessen/go-mail#551): 502 to every RSET, 250 to all else.

const TEN = Array.from({ length: 10 });

conversation(
  "SmtpClient gives ten receipts for ten mails in flight where the server answers 502 to every RSET",
  `S: 220 mx.test
  C: EHLO client.test
  S: 250-mx.test
  S: 250-AUTH=LOGIN PLAIN
  S: 250-AUTH LOGIN PLAIN
  S: 250-SIZE 104857600
  S: 250-PIPELINING
  S: 250 CHUNKING
  ${
    TEN.map((_, i) => `${i > 0 ? "C: RSET\n" : ""}C: MAIL FROM:<me@example.com> SIZE=4\n${RCPT}${BDAT}`).join(
      "",
    )
  }
  ${
    TEN.map((_, i) => `${i > 0 ? "S: 502 Unimplemented (#5.5.1) (eYou MTA)\n" : ""}${OK}${OK}S: 250 taken\n`)
      .join("")
  }
  ${QUIT}`,
  async (client) => {
    const results = await Promise.allSettled(TEN.map(() => client.send(ENVELOPE, "A:\r\n")));
    assertEquals(told(results), TEN.map(() => "receipt"));
    assertEquals(client.usable, true);
  },
);

for (const pieces of ALL_PIECES) {
  test(`SmtpClient tells of mails that left behind a refused RSET what their own replies say (${pieces})`, () =>
    session(
      `${BOTH}
      ${MAIL}${RCPT}${BDAT}
      C: RSET\n${MAIL}C: RCPT TO:<nobody@example.org>\n${BDAT}
      C: RSET\n${MAIL}${RCPT}${BDAT}
      C: RSET\n${MAIL}${RCPT}${BDAT}
      C: RSET\n${MAIL}${RCPT}${BDAT}
      C: RSET\n${MAIL}${RCPT}
      ${OK}${OK}S: 250 taken
      S: 502 Unimplemented\n${OK}S: 550 Nobody\nS: 503 No recipients
      S: 502 Unimplemented\n${OK}${OK}S: 250 taken
      S: 502 Unimplemented\nS: 503 Nested MAIL\n${OK}S: 503 No
      S: 502 Unimplemented\nS: 503 Nested MAIL\n${OK}S: 250 taken
      C: never`,
      async (client) => {
        const results = await Promise.allSettled([
          client.send(ENVELOPE, "A:"),
          client.send({ ...ENVELOPE, to: "nobody@example.org" }, "A:"),
          client.send(ENVELOPE, "A:"),
          client.send(ENVELOPE, "A:"),
          client.send(ENVELOPE, "A:"),
          client.send(ENVELOPE, new ReadableStream()),
          client.send(ENVELOPE, "A:"),
        ]);
        assertEquals(told(results), [
          "receipt",
          "recipients-refused refused 550",
          "receipt",
          "command-refused not-sent temporary 502",
          // Exim adds it to the transaction that is still open, under the sender of that.
          "command-refused unknown temporary 502",
          "command-refused not-sent temporary 502",
          "command-refused not-sent temporary 502",
        ]);
      },
      pieces,
      {},
    ));

  // GoDaddy (haraka/Haraka#2375): PIPELINING alone, a nested MAIL and RSET get 503.
  test(`SmtpClient closes a connection where RSET is refused after a refused mail, and the rest is temporary (${pieces})`, () =>
    session(
      `${hello("PIPELINING")}
      ${MAIL}${RCPT}C: DATA\n${OK}${OK}S: 354 Go
      C: A:\nC: .\n${MAIL}C: RCPT TO:<nobody@example.org>\nC: DATA
      S: 250 taken\n${OK}S: 550 Nobody\nS: 503 No recipients
      C: RSET\n${MAIL}${RCPT}C: DATA
      S: 503 5.5.0 Command not available
      C: never`,
      async (client) => {
        const results = await Promise.allSettled([
          client.send(ENVELOPE, "A:"),
          client.send({ ...ENVELOPE, to: "nobody@example.org" }, "A:"),
          client.send(ENVELOPE, "A:"),
          client.send(ENVELOPE, "A:"),
        ]);
        const left = "command-refused not-sent temporary 503";
        assertEquals(told(results), ["receipt", "recipients-refused refused 550", left, left]);
      },
      pieces,
    ));
}

// A connection that ends within a reply.

for (
  const [where, replies, outcomes] of [
    ["the reply to MAIL", "S~ 2", ["unknown", "unknown", "not-sent"]],
    ["the reply to the content", `${OK}${OK}S~ 250 tak`, ["unknown", "unknown", "not-sent"]],
    ["a reply of several lines", `${OK}${OK}S: 250-taken\nS~ 25`, ["unknown", "unknown", "not-sent"]],
    ["the reply to the second", `${OK}${OK}S: 250 taken\nS~ 25`, ["receipt", "unknown", "unknown"]],
  ] as const
) {
  for (const pieces of ALL_PIECES) {
    test(`SmtpClient takes a connection that ends within ${where} for lost, for all mails (${pieces})`, () =>
      session(
        `${BOTH}${MAIL}${RCPT}${BDAT}C: RSET\n${MAIL}${RCPT}${BDAT}${replies}\nS! close`,
        async (client, played) => {
          const results = await Promise.allSettled([
            client.send(ENVELOPE, "A:"),
            client.send(ENVELOPE, "A:"),
            client.send(ENVELOPE, "A:"),
          ]);
          const lost = (outcome: string, index: number) => {
            if (outcome === "receipt") return outcome;
            // In one packet the end comes before the third mail is written, which therefore never left.
            const isLate = index === 2 && pieces === "whole";
            return `connection-lost ${isLate ? "not-sent" : outcome} temporary`;
          };
          assertEquals(told(results), outcomes.map(lost));
          await played.done.catch(() => {});
        },
        pieces,
        { maxInFlight: 2 },
      ));
  }
}

// One mail is aborted under DATA, while the reply to the content ahead of it is under way.

for (const pieces of ALL_PIECES) {
  test(`SmtpClient waits for the reply to a mail that was complete when the one behind it is aborted (${pieces})`, () => {
    const said = Promise.withResolvers<void>();
    let data = 0;
    return session(
      `${hello("PIPELINING")}
      ${MAIL}${RCPT}C: DATA\n${OK}${OK}S: 354 Go
      C: A:\nC: .\n${MAIL}${RCPT}C: DATA
      S: 250 taken
      C: never`,
      async (client) => {
        const controller = new AbortController();
        const first = client.send(ENVELOPE, "A:");
        const second = client.send(ENVELOPE, "A:", { signal: controller.signal });
        const third = client.send(ENVELOPE, "A:");
        const settled = Promise.allSettled([first, second, third]);
        await said.promise;
        controller.abort();
        assertEquals(client.usable, false);
        assertEquals(told(await settled), [
          "receipt",
          "aborted not-sent",
          "connection-lost not-sent temporary",
        ]);
      },
      pieces,
      {
        trace(event) {
          if (event.type === "command" && event.line === "DATA" && ++data === 2) said.resolve();
        },
      },
    );
  });
}
