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

/** Says something to a machine that accepts everything. Gives the kinds of the events and the replies' lines. */
function say(machine: SessionMachine, text: string | Uint8Array): { events: string[]; replies: string[] } {
  machine.receive(typeof text === "string" ? new TextEncoder().encode(text) : text);
  const events: string[] = [];
  for (let event = machine.next(); event !== undefined && event.kind !== "close"; event = machine.next()) {
    events.push(event.kind);
    if (event.kind === "starttls") break;
    if (event.kind === "auth") machine.authenticated("tim");
    else if (ASKS.has(event.kind) || (event.kind === "content" && event.last)) machine.answer();
  }
  if (machine.closed) events.push("close");
  return { events, replies: heard(machine) };
}

function heard(machine: SessionMachine): string[] {
  return new TextDecoder().decode(machine.takeOutput()).split("\r\n").slice(0, -1);
}

/** How to get a machine into each state. */
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
      const machine = createMachine();
      say(machine, way);
      const { replies } = say(machine, line + "\r\n");
      const refusal = SEQUENCE[verb as keyof typeof SEQUENCE][state as MachineState];
      const where = `${verb} in "${state}": ${replies}`;
      if (refusal === undefined) assert(/^[23]/.test(replies.at(-1)!), where);
      else assertEquals(replies, [refusal.toString()], where);
    }
  }
});

test("SessionMachine gives the events of a transaction in their order", () => {
  const machine = createMachine();
  assertEquals(say(machine, "").events, ["connect"]);
  assertEquals(say(machine, WAYS.rcpt + "DATA\r\n").events, ["greet", "mail", "rcpt"]);
  assertEquals(say(machine, "Hello\r\n").events, ["content"]);
  assertEquals(say(machine, ".\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nRSET\r\nQUIT\r\n").events, [
    "content",
    "mail",
    "reset",
    "close",
  ]);
  assertEquals(machine.next(), { kind: "close" });
});

test("SessionMachine says the same whether a conversation comes whole or in any pieces", () => {
  const groups = [
    "EHLO client.test\r\nNOOP\r\nXYZZY\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
    "Subject: Hi\r\n\r\n..dots\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
    "\r\n.\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n",
  ];
  const run = (cut: (bytes: Uint8Array) => Uint8Array[]) => {
    const machine = createMachine();
    return groups.map((group) =>
      cut(new TextEncoder().encode(group)).flatMap((piece) => say(machine, piece).replies)
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
      const machine = createMachine();
      for (const piece of pieces) {
        const { events, replies } = say(machine, piece);
        for (const reply of replies) assert(/^[2345]\d\d[ -]/.test(reply), reply);
        if (events.includes("close")) break;
        if (events.includes("starttls")) machine.secured();
      }
    }),
    { numRuns: 300 },
  );
});

test("SessionMachine carries out nothing that came before TLS", () => {
  const machine = createMachine();
  say(machine, "EHLO client.test\r\nAUTH PLAIN AGEAYg==\r\n");
  assertEquals(machine.session.user, "tim");
  assertEquals(say(machine, "STARTTLS\r\n").events, ["starttls"]);
  machine.receive(new TextEncoder().encode("MAIL FROM:<injected@example.com>\r\n"));
  machine.secured();
  assertEquals(machine.next(), undefined);
  assertEquals([
    machine.session.secureTransport,
    machine.session.clientName,
    machine.session.esmtp,
    machine.session.user,
  ], [
    "on",
    "",
    false,
    undefined,
  ]);
  assertEquals(say(machine, "MAIL FROM:<a@example.com>\r\n").replies, ["503 5.5.1 Send EHLO first"]);
});

test("SessionMachine keeps a transaction open when a new EHLO is refused", () => {
  const machine = createMachine();
  say(machine, WAYS.mail);
  machine.receive(new TextEncoder().encode("EHLO other.test\r\n"));
  assertEquals(machine.next()?.kind, "greet");
  machine.answer(new Reply(550, "No", { enhancedCode: "5.7.1" }));
  assertEquals(machine.next(), undefined);
  assertEquals(machine.session.clientName, "client.test");
  assertEquals(machine.session.envelope?.from, "a@example.com");
});

test("SessionMachine lets nobody in by a mere answer", () => {
  for (const reply of [undefined, new Reply(535, "No", { enhancedCode: "5.7.8" })]) {
    const machine = createMachine();
    say(machine, WAYS.ready);
    machine.receive(new TextEncoder().encode("AUTH PLAIN AGEAYg==\r\n"));
    assertEquals(machine.next(), { kind: "auth", mechanism: "PLAIN", response: "AGEAYg==" });
    machine.answer(reply);
    assertEquals(machine.session.user, undefined);
    assertEquals(heard(machine)[0]!.slice(0, 9), "535 5.7.8");
  }
});

test("SessionMachine wants its events answered, once, and no others", () => {
  const machine = createMachine();
  assertEquals(machine.next()?.kind, "connect");
  assertThrows(() => machine.next(), Error, `"connect" waits for its answer`);
  machine.answer();
  assertThrows(() => machine.answer(), Error, "no event waits for an answer");
});

test("SessionMachine gives no content away that is at fault", () => {
  const machine = createMachine({ maxMessageSize: 5 });
  say(machine, WAYS.rcpt + "DATA\r\n");
  machine.receive(new TextEncoder().encode("123\r\n"));
  const first = machine.next() as ContentEvent;
  assertEquals([first.bytes.length, first.last, first.fault], [5, false, undefined]);
  machine.receive(new TextEncoder().encode("4\r\n.\r\n"));
  const second = machine.next() as ContentEvent;
  assertEquals([second.bytes.length, second.last, second.fault?.code], [0, true, 552]);
  machine.answer();
  assertEquals(heard(machine), ["552 5.3.4 Message is too large"]);
});

test("SessionMachine ignores all input once it is closed", () => {
  const machine = createMachine();
  say(machine, WAYS.ready);
  machine.close(new Reply(421, "Bye", { enhancedCode: "4.3.2" }));
  machine.close(new Reply(421, "Bye again"));
  assertEquals(heard(machine), ["421 4.3.2 Bye"]);
  assertEquals(say(machine, "NOOP\r\n"), { events: ["close"], replies: [] });
});
