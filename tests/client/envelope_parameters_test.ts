import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { renderEnvelope } from "../../src/client/envelope.ts";
import type { Envelope } from "../../src/client/envelope.ts";
import { toSource } from "../../src/client/content.ts";
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { conversation, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const TO = "you@example.org";

function render(
  more: Partial<Envelope>,
  keywords: readonly string[],
  isProtected = true,
  message = "Hi",
): string[] {
  const extensions = Extensions.parse(new Reply(250, ["mx.test", ...keywords]));
  const envelope = { from: "me@example.com", to: TO, ...more };
  const { mail, rcpts } = renderEnvelope(
    envelope,
    toSource(message),
    { extensions, protected: isProtected },
  );
  return [mail, ...rcpts].map((line) => line.slice(0, -2).replace(/^(MAIL FROM|RCPT TO):<.*?> ?/, ""));
}

for (
  const [more, keywords, mail, ...rcpts] of [
    [
      { dsn: { ret: "full", envid: "x", notify: ["failure"] } },
      ["DSN"],
      "RET=FULL ENVID=x",
      "NOTIFY=FAILURE",
    ],
    [{ dsn: { ret: "full", notify: "never", ifOffered: true } }, [], "", ""],
    [
      { to: [{ address: TO, notify: "never", orcpt: "a@b.test" }, "b@b.test"], dsn: { notify: ["delay"] } },
      ["DSN"],
      "",
      "NOTIFY=NEVER ORCPT=rfc822;a@b.test",
      "NOTIFY=DELAY",
    ],
    [{ to: { address: TO } }, [], "", ""],
    [{ to: { address: TO, notify: "never" }, dsn: { ifOffered: true } }, [], "", ""],
    [{ requireTls: true }, ["REQUIRETLS"], "REQUIRETLS", ""],
    [{ priority: -4 }, ["MT-PRIORITY STANAG4406"], "MT-PRIORITY=-4", ""],
    [{ priority: { level: 4, ifOffered: true } }, [], "", ""],
    [{ deliverBy: { seconds: 60, mode: "return" } }, ["DELIVERBY 60"], "BY=60;R", ""],
    [{ deliverBy: { seconds: 5, mode: "notify" } }, ["DELIVERBY 60"], "BY=5;N", ""],
    [{ holdFor: 60 }, ["FUTURERELEASE 60 2026-12-31T00:00:00Z"], "HOLDFOR=60", ""],
    [
      { holdUntil: new Date("2026-12-31T00:00:00Z") },
      ["FUTURERELEASE 60 2026-12-31T00:00:00Z"],
      "HOLDUNTIL=2026-12-31T00:00:00Z",
      "",
    ],
    [{ holdFor: 61 }, ["FUTURERELEASE"], "HOLDFOR=61", ""],
    [{ auth: "a@b.test" }, ["AUTH PLAIN"], "AUTH=a@b.test", ""],
    [{ parameters: { xverp: true } }, [], "XVERP", ""],
    [{ to: { address: TO, parameters: { "X-1": "y" } } }, [], "", "X-1=y"],
    [
      { size: 9, body: "8bitmime", dsn: { ret: "full" } },
      ["SIZE", "8BITMIME", "DSN"],
      "SIZE=9 BODY=8BITMIME RET=FULL",
      "",
    ],
    [{ body: "7bit" }, ["8BITMIME"], "BODY=7BIT", ""],
    [{ body: "7bit" }, [], "", ""],
    [{ body: "binarymime" }, ["BINARYMIME", "CHUNKING"], "BODY=BINARYMIME", ""],
    [{ smtpUtf8: true }, ["SMTPUTF8"], "SMTPUTF8", ""],
    [{ size: 9 }, [], "", ""],
  ] as [Partial<Envelope>, string[], ...string[]][]
) {
  test(`renderEnvelope() says "${[mail, ...rcpts].join(" | ")}" to a server with ${keywords.join() || "nothing"}`, () => {
    assertEquals(render(more, keywords), [mail, ...rcpts]);
  });
}

for (
  const [more, keywords, code, message] of [
    [{ dsn: { ret: "full" } }, [], "extension-missing", "RET is asked for and the server does not offer DSN"],
    [{ to: { address: TO, notify: "never" } }, [], "extension-missing", "NOTIFY"],
    [{ to: { address: TO, orcpt: TO } }, ["8BITMIME"], "extension-missing", "ORCPT"],
    [{ requireTls: true }, [], "extension-missing", "REQUIRETLS"],
    [{ priority: 1 }, [], "extension-missing", "MT-PRIORITY"],
    [{ deliverBy: { seconds: 9, mode: "notify" } }, [], "extension-missing", "DELIVERBY"],
    [{ holdFor: 9 }, [], "extension-missing", "FUTURERELEASE"],
    [{ holdUntil: new Date(0) }, [], "extension-missing", "FUTURERELEASE"],
    [{ auth: null }, [], "extension-missing", "AUTH"],
    [{ body: "8bitmime" }, [], "extension-missing", "8BITMIME"],
    [{ body: "binarymime" }, ["CHUNKING"], "extension-missing", "BINARYMIME"],
    [{ body: "binarymime" }, ["BINARYMIME"], "extension-missing", "CHUNKING"],
    [{ smtpUtf8: true }, [], "extension-missing", "SMTPUTF8"],
    [{ to: "ü@b.test" }, [], "extension-missing", 'the local part of "ü@b.test" is not ASCII'],
    [{ deliverBy: { seconds: 59, mode: "return" } }, ["DELIVERBY 60"], "invalid-envelope", "at least 60"],
    [{ holdFor: 61 }, ["FUTURERELEASE 60 2026-12-31T00:00:00Z"], "invalid-envelope", "at most 60"],
    [
      { holdUntil: new Date("2027-01-01T00:00:00Z") },
      ["FUTURERELEASE 60 2026-12-31T00:00:00Z"],
      "invalid-envelope",
      "at most 2026-12-31T00:00:00Z",
    ],
    [{ priority: "high" as never }, ["MT-PRIORITY"], "invalid-envelope", 'the current value is "high"'],
    [{ priority: 10 }, ["MT-PRIORITY"], "invalid-envelope", "from -9 to 9"],
    [{ body: "9bit" as "7bit" }, [], "invalid-envelope", 'the current value is "9bit"'],
    [
      { size: 1 },
      [],
      "invalid-envelope",
      "size must be at least the 2 bytes of the message, the current value is 1",
    ],
    [{ size: 1.5 }, [], "invalid-envelope", "a whole number of bytes"],
    [{ size: 11 }, ["SIZE 10"], "message-too-large", "11 octets on the wire, the server takes 10"],
    [{ parameters: { "X Y": true } }, [], "invalid-envelope", "not a keyword"],
    [{ parameters: { X: "a b" } }, [], "invalid-envelope", "X"],
    [{ parameters: { size: "2" } }, ["SIZE"], "invalid-envelope", "SIZE: it is given twice"],
    [
      { parameters: { body: "7BIT" }, body: "7bit" },
      ["8BITMIME"],
      "invalid-envelope",
      "BODY: it is given twice",
    ],
    [{ to: { address: TO, notify: [] } }, ["DSN"], "invalid-envelope", "notify must be"],
    [{ to: null as unknown as string }, [], "invalid-envelope", ""],
    [{ to: {} as { address: string } }, [], "invalid-envelope", ""],
    [{ to: [undefined] as unknown as string[] }, [], "invalid-envelope", ""],
  ] as [Partial<Envelope>, string[], string, string][]
) {
  test(`renderEnvelope() refuses ${JSON.stringify(more)} for a server with ${keywords.join() || "nothing"}`, () => {
    const error = assertThrows(() => render(more, keywords), SmtpError);
    assertEquals([error.code, error.outcome, error.usable], [code, "not-sent", true], error.message);
    assertStringIncludes(error.message, message);
  });
}

test("renderEnvelope() refuses requireTls without TLS, or with a certificate that was not checked", () => {
  const error = assertThrows(
    () => render({ requireTls: true }, ["REQUIRETLS"], false),
    SmtpError,
    "under TLS",
  );
  assertEquals(error.code, "extension-missing");
});

test("renderEnvelope() refuses 7bit for a message that is not", () => {
  assertThrows(() => render({ body: "7bit" }, ["8BITMIME"], true, "é"), SmtpError, 'body is "7bit"');
  assertThrows(() => render({}, [], true, "é"), SmtpError, "does not offer 8BITMIME");
});

conversation(
  "SmtpClient sends in the order of the calls, whatever the first asks for",
  `${hello("DSN")}
  C: MAIL FROM:<> RET=FULL
  S: 250 Ok
  C: RCPT TO:<1@b.test>
  S: 250 Ok
  C: DATA
  S: 354 Ok
  C: A:1
  C: .
  S: 250 Ok
  C: MAIL FROM:<>
  S: 250 Ok
  C: RCPT TO:<2@b.test>
  S: 250 Ok
  C: DATA
  S: 354 Ok
  C: A:2
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    const first = client.send({ from: null, to: "1@b.test", dsn: { ret: "full" } }, "A:1");
    const second = client.send({ from: null, to: "2@b.test" }, "A:2");
    const refused = rejectsWith(
      "extension-missing",
      () => client.send({ from: null, to: TO, priority: 1 }, "A:3"),
    );
    await Promise.all([first, second, refused]);
  },
);
