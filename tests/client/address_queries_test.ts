import { assertEquals, assertRejects } from "@std/assert";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

conversation(
  "SmtpClient.vrfy() and expn() send a domain beyond ASCII as its A-label, with SMTPUTF8 offered or not",
  `${hello()}
  C: VRFY recipient@xn--4cab6c.se
  S: 252 Perhaps
  C: EXPN list@xn--4cab6c.se
  S: 252 Perhaps
  ${QUIT}`,
  async (client) => {
    assertEquals((await client.vrfy("recipient@åäö.se")).verified, false); // curl test 964
    await client.expn("list@åäö.se");
  },
);

conversation(
  "SmtpClient.vrfy() and expn() ask for SMTPUTF8 where the argument needs it (RFC 6531, section 3.7.4.2)",
  `${hello("SMTPUTF8")}
  C: VRFY recipient@xn--4cab6c.se
  S: 252 Perhaps
  C: VRFY é@xn--4cab6c.se SMTPUTF8
  S: 252 Perhaps
  C: EXPN Freunde für immer SMTPUTF8
  S: 252 Perhaps
  ${QUIT}`,
  async (client) => {
    await client.vrfy("recipient@åäö.se");
    await client.vrfy("é@åäö.se");
    await client.expn("Freunde für immer");
  },
);

test("SmtpClient.vrfy() and expn() say that SMTPUTF8 is missing, and the session goes on", () =>
  converse(`${hello()}\nC: NOOP\nS: 250 Ok\n${QUIT}`, async (client) => {
    for (const query of ["é@example.org", "é@åäö.se", "Jürgen", "a@å..se"]) {
      const error = await rejectsWith("extension-missing", () => client.vrfy(query));
      assertEquals([error.outcome, error.phase, error.usable], ["not-sent", "command", true]);
      await rejectsWith("extension-missing", () => client.expn(query));
    }
    await assertRejects(() => client.vrfy("é\r\nNOOP"), TypeError, "control character");
    await client.noop();
  }));

test("an argument of vrfy(), expn() and etrn() is no parameter of the command", () =>
  converse(`${hello("SMTPUTF8", "ETRN")}\nC: NOOP\nS: 250 Ok\n${QUIT}`, async (client) => {
    for (const query of ["jane SMTPUTF8", "é SMTPUTF8", "jane smtputf8"]) {
      await assertRejects(() => client.vrfy(query), TypeError, "without a parameter at its end");
      await assertRejects(() => client.expn(query), TypeError, "without a parameter at its end");
    }
    await assertRejects(() => client.etrn("example.org QUEUE=x"), TypeError, "must be one word");
    await client.noop();
  }));
