/** What a server says without having been asked ends the session at once, and never answers a command. */
import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { formatTrace } from "../../src/trace.ts";
import { ehlo, hello } from "../support/conversation.ts";
import { sendMail, test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { ALL_PIECES, replay } from "../support/replay.ts";
import type { Pieces } from "../support/replay.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MAIL = "C: MAIL FROM:<me@example.com>";
const RCPT = "C: RCPT TO:<you@example.org>";
const UNASKED = "Unexpected reply, no command is waiting for one: ";

/** Replays a conversation that the client does not quit. */
async function session(
  transcript: string,
  body: (connect: () => Promise<SmtpClient>) => Promise<void>,
  pieces: Pieces = "whole",
  options: SmtpClientOptions = {},
): Promise<void> {
  const played = replay(transcript, pieces);
  const all = { socket: played.socket, clientName: "client.test", security: "none", ...options } as const;
  try {
    await body(() => SmtpClient.connect(all));
  } finally {
    await played.done.catch(() => {}); // the client hangs up while the server still speaks
  }
}

/** Waits until the client notices by itself that the session is over. */
async function over(client: SmtpClient): Promise<[code: string, message: string]> {
  await client.closed;
  assertEquals(client.usable, false);
  const error = await rejectsWith("client-closed", () => client.send(ENVELOPE, "A:"));
  assertEquals([error.outcome, error.temporary], ["not-sent", true]); // nothing is wrong with this mail
  const { code, message } = error.cause as { code: string; message: string };
  return [code, message];
}

const BDAT = `${MAIL}
  ${RCPT}
  C: BDAT 4 LAST
  C: A:
  S: 250 Ok
  S: 250 Ok
  S: 250 taken`;

/** What comes while the session is idle, and what it is taken for. */
const IDLE = {
  "S: 250 2.0.0 Ok again": ["protocol-error", UNASKED + "250 2.0.0 Ok again"],
  "S: 451 4.4.2 Timeout": ["protocol-error", UNASKED + "451 4.4.2 Timeout"],
  "S: 354 Go": ["protocol-error", UNASKED + "354 Go"],
  "S: 421 gmx.net Service closing transmission channel - command timeout": [
    "service-unavailable",
    "The server closes the session: gmx.net Service closing transmission channel - command timeout",
  ],
  "S: 421 Bye\nS! close": ["service-unavailable", "The server closes the session: Bye"],
  "S! close": ["connection-lost", "The server has closed the connection"],
  "S! reset": ["connection-reset", "The peer cut the connection"],
} as const;

for (const pieces of ALL_PIECES) {
  for (const [words, [code, message]] of Object.entries(IDLE)) {
    test(`SmtpClient ends at once when an idle server says ${words.replace("\n", ", ")} (${pieces})`, () =>
      session(`${hello()}\n${words}`, async (connect) => {
        assertEquals(await over(await connect()), [code, message]);
      }, pieces));

    if (words === "S! reset") continue; // takes with it what was said before
    test(`SmtpClient pairs nothing with its next mail behind one, after ${words.replace("\n", ", ")} (${pieces})`, () =>
      session(`${hello("PIPELINING", "CHUNKING")}\n${BDAT}\n${words}`, async (connect) => {
        const client = await connect();
        const receipt = await client.send(ENVELOPE, "A:");
        assertEquals(receipt.reply.text, "taken");
        assertEquals(await over(client), [code, message]);
      }, pieces));
  }

  test(`SmtpClient knows the words of a 421 to a transaction that waits for its caller (${pieces})`, () =>
    session(`${hello()}\n${MAIL}\nS: 250 Ok\nS: 421 4.4.2 Too slow\nS! close`, async (connect) => {
      const client = await connect();
      await client.mail(ENVELOPE.from);
      await client.closed;
      const error = await rejectsWith("client-closed", () => client.rcpt(ENVELOPE.to));
      assertEquals(String(error.cause), "SmtpError: The server closes the session: Too slow");
    }, pieces));

  test(`SmtpClient takes neither a 421 nor an end behind QUIT for a failure (${pieces})`, async () => {
    for (
      const end of ["S: 221 Bye\nS: 421 Too late", "S: 221 Bye\nS! close", "S: 421 Bye\nS! close", "S! close"]
    ) {
      const trace: string[] = [];
      const failed: unknown[] = [];
      await session(
        `${hello()}\nC: QUIT\n${end}`,
        async (connect) => {
          const client = await connect();
          await client.quit();
          await client.closed;
        },
        pieces,
        {
          trace(event) {
            trace.push(formatTrace(event));
            if (event.type === "state" && event.state === "closed") failed.push(event.failed);
          },
        },
      );
      assertEquals([end, failed, trace.at(-1)], [end, [undefined], "*  closed: The session has ended"]);
    }
  });
}

test("SmtpClient.connect() rejects where two greetings come in one packet", () =>
  session("S: 220 a\nS: 220 b", async (connect) => {
    const error = await rejectsWith("protocol-error", connect);
    assertEquals(error.message, UNASKED + "220 b");
  }));

test("SmtpClient.connect() rejects where bytes stand behind the greeting, and says nothing", () =>
  session("S: 220 a\nS: 250 mx.test", async (connect) => {
    const error = await rejectsWith("protocol-error", connect);
    assertEquals(error.message, UNASKED + "250 mx.test");
  }));

test("SmtpClient.open() notices what comes behind the greeting", async () => {
  const played = replay("S: 220 a\nS: 421 I go");
  const client = await SmtpClient.open({ socket: played.socket, security: "none" });
  assertEquals((await over(client))[0], "service-unavailable");
  await played.done.catch(() => {});
});

test("SmtpClient ends a session where bytes stand behind a refused STARTTLS", () =>
  session(
    `S: 220 mx.test\n${ehlo("STARTTLS")}\nC: STARTTLS\nS: 454 Not now\nS: 250-mx.test\nS: 250 AUTH PLAIN`,
    async (connect) => {
      const client = await connect().catch((error) => error);
      if (client instanceof SmtpClient) assertEquals((await over(client))[0], "protocol-error");
      else assertEquals(client.message, UNASKED + "250 mx.test\n250 AUTH PLAIN");
    },
    "whole",
    { security: "opportunistic" },
  ));

test("SmtpClient reads on after a refused STARTTLS", () =>
  session(
    `S: 220 mx.test\n${ehlo("STARTTLS")}\nC: STARTTLS\nS: 454 Not now\nS! close`,
    async (connect) => {
      const client = await connect().catch((error) => error);
      if (client instanceof SmtpClient) assertEquals((await over(client))[0], "connection-lost");
    },
    "whole",
    { security: "opportunistic" },
  ));

test("SmtpClient, a command at a time, takes a reply that came with another for none to the next command", () =>
  session(`${hello()}\n${MAIL}\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nS: 250 taken`, async (connect) => {
    const client = await connect();
    const error = await rejectsWith("protocol-error", () => client.send(ENVELOPE, "A:"));
    assertEquals([error.outcome, error.message], ["not-sent", UNASKED + "250 Ok"]);
  }));

for (const pieces of ALL_PIECES) {
  test(`SmtpClient takes a 250 that comes with the 354 for no receipt (${pieces})`, () =>
    session(
      `${hello()}\n${MAIL}\nS: 250 Ok\n${RCPT}\nS: 250 Ok\nC: DATA\nS: 354 Go\nS: 250 taken\nC: never`,
      async (connect) => {
        const client = await connect();
        const source = new ReadableStream<string>(); // by bytes and lines it could come after a short content
        const error = await rejectsWith("protocol-error", () => client.send(ENVELOPE, source));
        assertEquals([error.outcome, error.message], ["not-sent", UNASKED + "250 taken"]);
      },
      pieces,
    ));

  test(`SmtpClient takes a 552 that comes with the 354 for a refusal, and says no content (${pieces})`, () =>
    session(
      `${hello()}\n${MAIL}\nS: 250 Ok\n${RCPT}\nS: 250 Ok\nC: DATA\nS: 354 Go\nS: 552 Too big\nC: never`,
      async (connect) => {
        const client = await connect();
        const source = new ReadableStream<string>();
        const error = await rejectsWith("message-refused", () => client.send(ENVELOPE, source));
        assertEquals([error.outcome, error.reply?.code, error.usable], ["refused", 552, false]);
        await client.closed;
      },
      pieces,
    ));
}

test("SmtpClient takes a short content's 250 that came with the 354 for no receipt", () =>
  session(
    `${hello()}\n${MAIL}\nS: 250 Ok\n${RCPT}\nS: 250 Ok\nC: DATA\nS: 354 Go\nS: 250 taken\nC: never`,
    async (connect) => {
      const client = await connect();
      const error = await rejectsWith("protocol-error", () => client.send(ENVELOPE, "A:"));
      assertEquals([error.outcome, error.message], ["not-sent", UNASKED + "250 taken"]);
    },
  ));

test("SmtpClient gives a receipt for what was taken in the packet in which the server takes its leave", () =>
  session(
    `${hello("PIPELINING", "CHUNKING")}\n${BDAT}\nS: 421 Bye\nS! close`,
    async (connect) => {
      const client = await connect();
      const [first, second] = await Promise.allSettled([
        client.send(ENVELOPE, "A:"),
        client.send(ENVELOPE, new ReadableStream({ cancel: () => assert(true) })),
      ]);
      assertEquals(first.status, "fulfilled");
      assert(second.status === "rejected");
      assertEquals([second.reason.code, second.reason.outcome], ["service-unavailable", "not-sent"]);
    },
    "whole",
    { maxInFlight: 1 },
  ));

test("SmtpClient hears a 421 while a mechanism thinks", () =>
  session(
    `${hello("AUTH X-SLOW")}\nC: AUTH X-SLOW\nS: 334 \nS: 421 4.7.0 Too slow\nS! close`,
    async (connect) => {
      const error = await rejectsWith("service-unavailable", connect);
      assertEquals(error.reply?.text, "Too slow");
    },
    "lines",
    {
      auth: {
        mechanism: () => ({
          name: "X-SLOW",
          initial: () => undefined,
          respond: () => new Promise<Uint8Array>(() => {}),
        }),
      } as never,
    },
  ));

test("SmtpClient calls a mail temporary that waits behind one at which the server speaks out of turn", () =>
  session(`${hello()}\n${MAIL}\nS: 250 Ok\nS: 250 Again\n`, async (connect) => {
    const client = await connect();
    const sent = client.send(ENVELOPE, "A: first");
    const error = await rejectsWith("protocol-error", () => client.send(ENVELOPE, "A: second"));
    assertEquals([error.outcome, error.temporary], ["not-sent", true]);
    await rejectsWith("protocol-error", () => sent);
  }));

test("sendMail() tells what the server said out of turn behind EHLO", () =>
  rejects("S: 220 mx.test\nC: EHLO client.test\nS: 250 mx.test\nS: 250 Again", `${UNASKED}250 Again`));

for (const code of [221, 354]) {
  test(`sendMail() takes no ${code} for an answer to EHLO`, () =>
    rejects(`S: 220 mx.test\nC: EHLO client.test\nS: ${code} What`, `Unexpected reply: ${code} What`));
}

async function rejects(transcript: string, message: string): Promise<void> {
  const { socket, done } = replay(transcript);
  const options = { socket, clientName: "client.test", security: "none" } as const;
  const error = await rejectsWith("protocol-error", () => sendMail(options, ENVELOPE, "A:"));
  assertEquals([error.message, error.outcome], [message, "not-sent"]);
  await done.catch(() => {});
}
