import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Reply } from "../../src/core/reply.ts";
import { type MachineState, SEQUENCE } from "../../src/server/command_order.ts";
import type { ContentEvent } from "../../src/server/content_reader.ts";
import { readOptions, type ServeSocketOptions } from "../../src/server/options.ts";
import { SessionMachine } from "../../src/server/session_machine.ts";
import { test } from "../support/harness.ts";

function createMachine(options: ServeSocketOptions = {}): SessionMachine {
  const settings = readOptions(
    { serverName: "mx.test", allowInsecureAuth: true, ...options },
    { auth: () => true },
  );
  return new SessionMachine(settings, "starttls");
}

const ASKS = new Set(["connect", "greet", "mail", "rcpt", "auth", "auth-response"]);

/** Says something to a session that accepts everything. Gives the kinds of the events and the replies' lines. */
function say(session: SessionMachine, text: string | Uint8Array): { events: string[]; replies: string[] } {
  session.receive(typeof text === "string" ? new TextEncoder().encode(text) : text);
  const events: string[] = [];
  for (let event = session.next(); event !== undefined && event.kind !== "close"; event = session.next()) {
    events.push(event.kind);
    if (event.kind === "starttls") break;
    if (event.kind === "auth") session.authenticated("tim");
    else if (ASKS.has(event.kind) || (event.kind === "content" && event.last)) session.answer();
  }
  if (session.closed) events.push("close");
  return { events, replies: heard(session) };
}

function heard(session: SessionMachine): string[] {
  return new TextDecoder().decode(session.takeOutput()).split("\r\n").slice(0, -1);
}

/** How to get a session into each state. */
const WAYS: Record<Exclude<MachineState, "unserved">, string> = {
  start: "",
  ready: "EHLO client.test\r\n",
  refused: "EHLO client.test\r\nMAIL FROM:<a@example.com> X=1\r\n",
  mail: "EHLO client.test\r\nMAIL FROM:<a@example.com>\r\n",
  rcpt: "EHLO client.test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n",
};

/** A well-formed line for each verb. */
const LINES: Record<keyof typeof SEQUENCE, string> = {
  EHLO: "EHLO client.test",
  HELO: "HELO client.test",
  LHLO: "LHLO client.test",
  STARTTLS: "STARTTLS",
  AUTH: "AUTH PLAIN AGEAYg==",
  MAIL: "MAIL FROM:<c@example.com>",
  RCPT: "RCPT TO:<d@example.org>",
  DATA: "DATA",
  BDAT: "BDAT 0 LAST",
  RSET: "RSET",
  NOOP: "NOOP",
  VRFY: "VRFY a",
  EXPN: "EXPN a",
  ETRN: "ETRN a",
  HELP: "HELP",
  QUIT: "QUIT",
};

test("SessionMachine answers each command in each state as the table says", () => {
  for (const [state, way] of Object.entries(WAYS)) {
    for (const [verb, line] of Object.entries(LINES)) {
      const session = createMachine();
      say(session, way);
      const { replies } = say(session, line + "\r\n");
      const refusal = SEQUENCE[verb as keyof typeof SEQUENCE][state as MachineState];
      const where = `${verb} in "${state}": ${replies}`;
      if (refusal === undefined) assert(/^[23]/.test(replies.at(-1)!), where);
      else assertEquals(replies, [refusal.toString()], where);
    }
  }
});

test("SessionMachine gives the events of a transaction in their order", () => {
  const session = createMachine();
  assertEquals(say(session, "").events, ["connect"]);
  assertEquals(say(session, WAYS.rcpt + "DATA\r\n").events, ["greet", "mail", "rcpt"]);
  assertEquals(say(session, "Hello\r\n").events, ["content"]);
  assertEquals(say(session, ".\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nRSET\r\nQUIT\r\n").events, [
    "content",
    "mail",
    "reset",
    "close",
  ]);
  assertEquals(session.next(), { kind: "close" });
});

test("SessionMachine says the same whether a conversation comes whole or in any pieces", () => {
  const groups = [
    "EHLO client.test\r\nNOOP\r\nXYZZY\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
    "Subject: Hi\r\n\r\n..dots\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
    "\r\n.\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n",
  ];
  const run = (cut: (bytes: Uint8Array) => Uint8Array[]) => {
    const session = createMachine();
    return groups.map((group) =>
      cut(new TextEncoder().encode(group)).flatMap((piece) => say(session, piece).replies)
    );
  };
  const whole = run((bytes) => [bytes]);
  assertEquals(whole.map((replies) => replies.length), [14, 4, 3]);
  assertEquals(run((bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte))), whole);
  fc.assert(
    fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (lengths) => {
      const cut = (bytes: Uint8Array) => {
        const pieces: Uint8Array[] = [];
        for (let start = 0; start < bytes.length;) {
          const length: number = lengths.next().value;
          pieces.push(bytes.subarray(start, start += length));
        }
        return pieces;
      };
      assertEquals(run(cut), whole);
    }),
    { numRuns: 50 },
  );
});

test("SessionMachine never throws at what a client sends, and always ends its replies", () => {
  const word = fc.constantFrom(
    "EHLO x\r\n",
    "HELO x\r\n",
    "MAIL FROM:<a@example.com>\r\n",
    "RCPT TO:<b@example.org>\r\n",
    "DATA\r\n",
    ".\r\n",
    "RSET\r\n",
    "AUTH PLAIN AGEAYg==\r\n",
    "AUTH LOGIN\r\n",
    "BDAT 3\r\n",
    "STARTTLS\r\n",
    "\n",
    "\r",
    "\0",
    "ä",
    "*\r\n",
  );
  const piece = fc.oneof({ weight: 5, arbitrary: word }, { weight: 1, arbitrary: fc.string() });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const session = createMachine();
      for (const piece of pieces) {
        const { events, replies } = say(session, piece);
        for (const reply of replies) assert(/^[2345]\d\d[ -]/.test(reply), reply);
        if (events.includes("close")) break;
        if (events.includes("starttls")) session.secured();
      }
    }),
    { numRuns: 300 },
  );
});

test("SessionMachine carries out nothing that came before TLS", () => {
  const session = createMachine();
  say(session, "EHLO client.test\r\nAUTH PLAIN AGEAYg==\r\n");
  assertEquals(session.user, "tim");
  assertEquals(say(session, "STARTTLS\r\n").events, ["starttls"]);
  session.receive(new TextEncoder().encode("MAIL FROM:<injected@example.com>\r\n"));
  session.secured();
  assertEquals(session.next(), undefined);
  assertEquals([session.secure, session.clientName, session.esmtp, session.user], [
    true,
    "",
    false,
    undefined,
  ]);
  assertEquals(say(session, "MAIL FROM:<a@example.com>\r\n").replies, ["503 5.5.1 Send EHLO first"]);
});

test("SessionMachine keeps a transaction open when a new EHLO is refused", () => {
  const session = createMachine();
  say(session, WAYS.mail);
  session.receive(new TextEncoder().encode("EHLO other.test\r\n"));
  assertEquals(session.next()?.kind, "greet");
  session.answer(new Reply(550, "No", { enhancedCode: "5.7.1" }));
  assertEquals(session.next(), undefined);
  assertEquals(session.clientName, "client.test");
  assertEquals(session.envelope?.from, "a@example.com");
});

test("SessionMachine lets nobody in by a mere answer", () => {
  for (const reply of [undefined, new Reply(535, "No", { enhancedCode: "5.7.8" })]) {
    const session = createMachine();
    say(session, WAYS.ready);
    session.receive(new TextEncoder().encode("AUTH PLAIN AGEAYg==\r\n"));
    assertEquals(session.next(), { kind: "auth", mechanism: "PLAIN", response: "AGEAYg==" });
    session.answer(reply);
    assertEquals(session.user, undefined);
    assertEquals(heard(session)[0]!.slice(0, 9), "535 5.7.8");
  }
});

test("SessionMachine wants its events answered, once, and no others", () => {
  const session = createMachine();
  assertEquals(session.next()?.kind, "connect");
  assertThrows(() => session.next(), Error, `"connect" waits for its answer`);
  session.answer();
  assertThrows(() => session.answer(), Error, "no event waits for an answer");
});

test("SessionMachine gives no content away that is at fault", () => {
  const session = createMachine({ maxMessageSize: 5 });
  say(session, WAYS.rcpt + "DATA\r\n");
  session.receive(new TextEncoder().encode("123\r\n"));
  const first = session.next() as ContentEvent;
  assertEquals([first.bytes.length, first.last, first.fault], [5, false, undefined]);
  session.receive(new TextEncoder().encode("4\r\n.\r\n"));
  const second = session.next() as ContentEvent;
  assertEquals([second.bytes.length, second.last, second.fault?.code], [0, true, 552]);
  session.answer();
  assertEquals(heard(session), ["552 5.3.4 Message is too large"]);
});

test("SessionMachine ignores all input once it is closed", () => {
  const session = createMachine();
  say(session, WAYS.ready);
  session.close(new Reply(421, "Bye", { enhancedCode: "4.3.2" }));
  session.close(new Reply(421, "Bye again"));
  assertEquals(heard(session), ["421 4.3.2 Bye"]);
  assertEquals(say(session, "NOOP\r\n"), { events: ["close"], replies: [] });
});
