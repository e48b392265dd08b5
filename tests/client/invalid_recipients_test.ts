import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import type { Envelope } from "../../src/client/envelope.ts";
import type { RejectedRecipient } from "../../src/errors.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const BAD = "try..this@docomo.ne.jp";
const MESSAGE = "A: x\r\n";

/** Each recipient, and the server's code or the code of our error. */
function reasons(rejected: readonly RejectedRecipient[]): [string, number | string][] {
  return rejected.map((one) => [one.recipient, one.reply?.code ?? one.error!.code]);
}

conversation(
  "SmtpClient.send() leaves a recipient out whose address is not valid, and says so in the receipt",
  `${hello("PIPELINING")}
  C: MAIL FROM:<>
  C: RCPT TO:<a@b.test>
  C: RCPT TO:<c@b.test>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 550 No
  S: 354 Go
  C: A: x
  C: .
  S: 250 Ok
  ${QUIT}`,
  async (client) => {
    const to = ["a@b.test", BAD, { address: "c@b.test" }, ""];
    const receipt = await client.send({ from: null, to }, MESSAGE);
    assertEquals(receipt.accepted, ["a@b.test"]);
    assertEquals(reasons(receipt.rejected), [
      [BAD, "invalid-envelope"],
      ["", "invalid-envelope"],
      ["c@b.test", 550],
    ]);
    const [first] = receipt.rejected;
    assert(first !== undefined && first.reply === undefined);
    assertStringIncludes(first.error.message, '"try..this"@docomo.ne.jp');
    assertEquals([first.error.recipient, receipt.parts], [BAD, [receipt]]);
  },
);

conversation(
  "SmtpClient.send() leaves a recipient out who needs SMTPUTF8 where the server lacks it",
  `${hello("PIPELINING")}
  C: MAIL FROM:<>
  C: RCPT TO:<a@b.test>
  C: DATA
  S: 250 Ok
  S: 550 No
  S: 554 Nobody
  ${QUIT}`,
  async (client) => {
    const error = await rejectsWith(
      "recipients-refused",
      () => client.send({ from: null, to: ["é@b.test", "a@b.test"] }, MESSAGE),
    );
    assertEquals(reasons(error.rejected), [["é@b.test", "extension-missing"], ["a@b.test", 550]]);
    assertEquals([error.outcome, error.usable], ["refused", true]);
  },
);

test("SmtpClient.send() leaves recipients out across several transactions", () =>
  converse(
    `${hello("PIPELINING", "LIMITS RCPTMAX=1")}
    C: MAIL FROM:<>
    C: RCPT TO:<a@b.test>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go
    C: A: x
    C: .
    C: MAIL FROM:<>
    C: RCPT TO:<c@b.test>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 354 Go
    C: A: x
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send({ from: null, to: ["a@b.test", BAD, "c@b.test"] }, MESSAGE);
      assertEquals([receipt.accepted, receipt.parts.length], [["a@b.test", "c@b.test"], 2]);
      assertEquals(reasons(receipt.rejected), [[BAD, "invalid-envelope"]]);
    },
  ));

test("SmtpClient.send() leaves recipients out over LMTP", () =>
  converse(
    `${hello("PIPELINING").replace("EHLO", "LHLO")}
    C: MAIL FROM:<>
    C: RCPT TO:<a@b.test>
    C: RCPT TO:<c@b.test>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 354 Go
    C: A: x
    C: .
    S: 250 Ok
    S: 452 Full
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send({ from: null, to: ["a@b.test", BAD, "c@b.test"] }, MESSAGE);
      assertEquals(receipt.accepted, ["a@b.test"]);
      assertEquals(reasons(receipt.rejected), [[BAD, "invalid-envelope"], ["c@b.test", 452]]);
    },
    { protocol: "lmtp" },
  ));

for (
  const [what, to, recipients] of [
    ['with recipients: "all"', ["a@b.test", BAD], "all"],
    ["where none is left", [BAD, "nobody"], "some"],
    ["where the only one is wrong", BAD, "some"],
  ] as const
) {
  test(`SmtpClient.send() sends nothing ${what}`, () =>
    converse(`${hello()}\n${QUIT}`, async (client) => {
      const error = await rejectsWith(
        "invalid-envelope",
        () => client.send({ from: null, to }, MESSAGE, { recipients }),
      );
      assertEquals([error.outcome, error.usable, error.recipient], ["not-sent", true, BAD]);
      assertEquals(error.rejected.length, [to].flat().filter((address) => address !== "a@b.test").length);
      assertInstanceOf(error.cause, SyntaxError);
    }));
}

for (
  const [envelope, words] of [
    [
      { from: null, to: undefined },
      /^Cannot send: to must be an address .*, the current value is undefined$/,
    ],
    [{ from: null, to: ["a@b.test", "c@b.test", undefined] }, /^Cannot send: to\[2\] must be an address /],
    [{ from: null, to: [{ address: undefined }] }, /^Cannot send: to\[0\] must be an address /],
    [{ from: null, to: [null] }, /^Cannot send: to\[0\] must be an address .*, the current value is null$/],
    [
      { from: undefined, to: "a@b.test" },
      /^Cannot send: from must be an address .* or null for no bounces, /,
    ],
    [{ from: "Ada <ada@b.test>", to: "a@b.test" }, /the envelope takes bare addresses: "ada@b\.test"$/],
    [
      { from: null, to: "a@x, b@y" },
      /the envelope takes bare addresses, several as an array: \["a@x", "b@y"\]$/,
    ],
  ] as [unknown, RegExp][]
) {
  test(`SmtpClient.send() names what is wrong in ${JSON.stringify(envelope)}`, () =>
    converse(`${hello()}\n${QUIT}`, async (client) => {
      const error = await rejectsWith("invalid-envelope", () => client.send(envelope as Envelope, MESSAGE));
      assertMatch(error.message, words);
      assertEquals([error.outcome, error.usable], ["not-sent", true]);
    }));
}

test("SmtpClient.rcpt() refuses an address that is not valid, and the receipt says so", () =>
  converse(
    `${hello()}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<a@b.test>
    S: 250 Ok
    C: DATA
    S: 354 Go
    C: A: x
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await client.mail(null);
      const error = await rejectsWith("invalid-envelope", () => client.rcpt(BAD));
      assertEquals([error.recipient, error.usable], [BAD, true]);
      const missing = await rejectsWith(
        "invalid-envelope",
        () => client.rcpt(undefined as unknown as string),
      );
      assertMatch(missing.message, /recipient must be an address/);
      await client.rcpt("a@b.test");
      const writer = (await client.data()).getWriter();
      await writer.write(MESSAGE);
      await writer.close();
    },
  ));

test("SmtpClient: the receipt of single commands lists the recipients that were not asked about", () =>
  converse(
    `${hello("CHUNKING")}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<a@b.test>
    S: 250 Ok
    C: BDAT 6 LAST
    C: A: x
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      await client.mail(null);
      await rejectsWith("invalid-envelope", () => client.rcpt({ address: BAD }));
      await client.rcpt("a@b.test");
      const receipt = await client.bdat(new TextEncoder().encode(MESSAGE), { last: true });
      assertEquals([receipt.accepted, reasons(receipt.rejected)], [["a@b.test"], [[
        BAD,
        "invalid-envelope",
      ]]]);
    },
  ));
