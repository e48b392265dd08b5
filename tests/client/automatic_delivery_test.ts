import { assertEquals } from "@std/assert";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import type { RejectedRecipient } from "../../src/errors.ts";
import { rejectsWith } from "../support/rejects_with.ts";

// Every conversation has recipients A and B, and the message "A:".

const A = "a@example.org";
const B = "b@example.org";
const BOTH = { from: "me@example.com", to: [A, B] };
const TO_A = { from: "me@example.com", to: A };

const RSET = "C: RSET";
const MAIL = "C: MAIL FROM:<me@example.com>";
const RCPT_A = `C: RCPT TO:<${A}>`;
const RCPT_B = `C: RCPT TO:<${B}>`;
const DATA = "C: DATA";
const BDAT = "C: BDAT 4 LAST\nC: A:";
/** The content under DATA, taken. */
const CONTENT = "C: A:\nC: .\nS: 250 taken";

type How = "in a group" | "step by step";

const OPTIONS: Record<"data" | "bdat" | "lmtp" | "lmtp bdat", SmtpClientOptions> = {
  data: { transfer: "data" },
  bdat: { transfer: "bdat" },
  lmtp: { protocol: "lmtp" },
  "lmtp bdat": { protocol: "lmtp", transfer: "bdat" },
};

/** The greeting of a server to which the client sends commands in this way. */
function greeting(how: How): string {
  return how === "in a group" ? hello("PIPELINING", "CHUNKING") : hello("CHUNKING");
}

const LMTP_GREETING = greeting("in a group").replace("EHLO", "LHLO");

/** Commands with their replies: all commands first, or each reply after its command. */
function exchange(how: How, ...pairs: [command: string, reply: string][]): string {
  const commands = pairs.map(([command]) => command);
  const replies = pairs.map(([, reply]) => `S: ${reply}`);
  const lines = how === "in a group"
    ? [...commands, ...replies]
    : commands.flatMap((command, index) => [command, replies[index]!]);
  return lines.join("\n");
}

/** The end of a conversation: a message to A, which the server takes, and QUIT. */
function another(how: How, transfer: "data" | "bdat", ahead: "after RSET" | "without RSET"): string {
  const pairs: [string, string][] = [[MAIL, "250 Ok"], [RCPT_A, "250 Ok"]];
  if (ahead === "after RSET") pairs.unshift([RSET, "250 Reset"]);
  pairs.push(transfer === "data" ? [DATA, "354 Go on"] : [BDAT, "250 taken"]);
  return [exchange(how, ...pairs), ...transfer === "data" ? [CONTENT] : [], QUIT].join("\n");
}

function codes(rejected: readonly RejectedRecipient[]): [string, number | undefined][] {
  return rejected.map(({ recipient, reply }) => [recipient, reply?.code]);
}

// The envelope.

conversation(
  "SmtpClient.send() step by step goes on when one recipient is refused",
  `${greeting("step by step")}
  ${exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RCPT_B, "250 Ok"], [DATA, "354 Go on"])}
  ${CONTENT}
  ${QUIT}`,
  async (client) => {
    const receipt = await client.send(BOTH, "A:");
    assertEquals([receipt.accepted, codes(receipt.rejected)], [[B], [[A, 550]]]);
  },
);

conversation(
  "SmtpClient.send() step by step puts BDAT after RCPT",
  `${greeting("step by step")}
  ${exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [RCPT_B, "250 Ok"], [BDAT, "250 taken"])}
  ${another("step by step", "bdat", "without RSET")}`,
  async (client) => {
    assertEquals((await client.send(BOTH, "A:")).accepted, [A, B]);
    assertEquals((await client.send(TO_A, "A:")).accepted, [A]);
  },
  OPTIONS.bdat,
);

// With a group and DATA: "SmtpClient with recipients: all sends nothing when one recipient is refused".
for (
  const [how, transfer] of [
    ["in a group", "bdat"],
    ["step by step", "data"],
    ["step by step", "bdat"],
  ] as const
) {
  conversation(
    `SmtpClient.send() ${how} with "all" waits for RCPT before ${transfer}, and stops when one is refused`,
    `${greeting(how)}
    ${exchange(how, [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [RCPT_B, "452 Too many"])}
    ${another(how, transfer, "after RSET")}`,
    async (client) => {
      const error = await rejectsWith(
        "recipients-refused",
        () => client.send(BOTH, "A:", { recipients: "all" }),
      );
      assertEquals([error.reply?.code, error.recipient, codes(error.rejected)], [452, B, [[B, 452]]]);
      assertEquals([error.outcome, error.phase, error.usable], ["refused", "rcpt", true]);
      await client.send(TO_A, "A:");
    },
    OPTIONS[transfer],
  );

  conversation(
    `SmtpClient.send() ${how} with "all" goes on with ${transfer} when all are accepted`,
    `${greeting(how)}
    ${exchange(how, [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [RCPT_B, "251 Ok"])}
    ${transfer === "bdat" ? `${BDAT}\nS: 250 taken` : `${DATA}\nS: 354 Go on\n${CONTENT}`}
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send(BOTH, "A:", { recipients: "all" });
      assertEquals([receipt.accepted, receipt.reply.text], [[A, B], "taken"]);
    },
    OPTIONS[transfer],
  );
}

conversation(
  'SmtpClient.send() step by step with "all" sends nothing more after the first recipient that is refused',
  `${greeting("step by step")}
  ${exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "550 No"])}
  ${another("step by step", "data", "after RSET")}`,
  async (client) => {
    const error = await rejectsWith(
      "recipients-refused",
      () => client.send(BOTH, "A:", { recipients: "all" }),
    );
    assertEquals([error.recipient, codes(error.rejected)], [A, [[A, 550]]]);
    await client.send(TO_A, "A:", { recipients: "all" });
  },
);

conversation(
  "SmtpClient.send() step by step ends with a refused MAIL",
  `${greeting("step by step")}
  ${exchange("step by step", [MAIL, "451 Later"])}
  ${another("step by step", "data", "without RSET")}`,
  async (client) => {
    const error = await rejectsWith("sender-refused", () => client.send(BOTH, "A:"));
    assertEquals([error.reply?.code, error.temporary, error.rejected], [451, true, []]);
    await client.send(TO_A, "A:");
  },
);

for (const transfer of ["data", "bdat"] as const) {
  conversation(
    `SmtpClient.send() step by step sends no ${transfer.toUpperCase()} where every recipient is refused`,
    `${greeting("step by step")}
    ${exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RCPT_B, "451 Later"])}
    ${another("step by step", transfer, "after RSET")}`,
    async (client) => {
      const error = await rejectsWith("recipients-refused", () => client.send(BOTH, "A:"));
      assertEquals([error.reply?.code, codes(error.rejected)], [550, [[A, 550], [B, 451]]]);
      await client.send(TO_A, "A:");
    },
    OPTIONS[transfer],
  );
}

conversation(
  "SmtpClient.send() step by step sends nothing more once it is aborted, and the client goes on",
  `${greeting("step by step")}
  ${exchange("step by step", [MAIL, "250 Ok"])}
  ${another("step by step", "data", "after RSET")}`,
  async (client) => {
    const controller = new AbortController();
    const sent = client.send(BOTH, "A:", { signal: controller.signal }); // MAIL is on its way when this returns
    controller.abort();
    const error = await rejectsWith("aborted", () => sent);
    assertEquals([error.outcome, error.usable], ["not-sent", true]);
    await client.send(TO_A, "A:");
  },
);

// The content.

for (const how of ["in a group", "step by step"] as const) {
  conversation(
    `SmtpClient.send() ${how} reports a refused DATA, and begins with RSET after it`,
    `${greeting(how)}
    ${exchange(how, [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [RCPT_B, "550 No"], [DATA, "451 Later"])}
    ${another(how, "data", "after RSET")}`,
    async (client) => {
      const error = await rejectsWith("message-refused", () => client.send(BOTH, "A:"));
      assertEquals([error.reply?.code, error.phase, error.outcome], [451, "data", "refused"]);
      assertEquals(codes(error.rejected), [[B, 550]]);
      await client.send(TO_A, "A:");
    },
    OPTIONS.data,
  );
}

conversation(
  "SmtpClient.send() sends nothing but the end when MAIL is refused and the server still wants content",
  `${greeting("in a group")}
  ${exchange("in a group", [MAIL, "550 No"], [RCPT_A, "503 No"], [RCPT_B, "503 No"], [DATA, "354 Go on"])}
  C: .
  S: 554 No
  ${another("in a group", "data", "without RSET")}`,
  async (client) => {
    const error = await rejectsWith("sender-refused", () => client.send(BOTH, "A:"));
    assertEquals([error.reply?.code, error.rejected, error.usable], [550, [], true]);
    await client.send(TO_A, "A:");
  },
  OPTIONS.data,
);

conversation(
  "SmtpClient.send() repeats an envelope that is refused only because the reply to the content ahead was missing",
  `${greeting("in a group")}
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [DATA, "354 Go on"])}
  C: A:
  C: .
  ${MAIL}
  ${RCPT_B}
  ${DATA}
  S: 250 first
  S: 503 No
  S: 503 No
  S: 503 No
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_B, "250 Ok"], [DATA, "354 Go on"])}
  ${CONTENT}
  ${another("in a group", "data", "without RSET")}`,
  async (client) => {
    const receipts = await Promise.all([A, B, A].map((to) => client.send({ ...TO_A, to }, "A:")));
    assertEquals(receipts.map(({ reply }) => reply.text), ["first", "taken", "taken"]);
  },
  OPTIONS.data,
);

// LMTP.

conversation(
  "SmtpClient.send() over LMTP has a reply for each recipient that was accepted",
  `${LMTP_GREETING}
  ${
    exchange(
      "in a group",
      [MAIL, "250 Ok"],
      [RCPT_A, "250 Ok"],
      ["C: RCPT TO:<c@example.org>", "550 No"],
      [RCPT_B, "250 Ok"],
      [DATA, "354 Go on"],
    )
  }
  ${CONTENT}
  S: 452 Full
  ${QUIT}`,
  async (client) => {
    const receipt = await client.send({ ...TO_A, to: [A, "c@example.org", B] }, "A:");
    assertEquals([receipt.accepted, codes(receipt.rejected)], [[A], [["c@example.org", 550], [B, 452]]]);
  },
  OPTIONS.lmtp,
);

conversation(
  "SmtpClient.send() over LMTP is refused where nobody gets the content",
  `${LMTP_GREETING}
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "250 Ok"], [RCPT_B, "250 Ok"], [DATA, "354 Go on"])}
  C: A:
  C: .
  S: 552 Full
  S: 450 Later
  ${another("in a group", "data", "without RSET")}`,
  async (client) => {
    const error = await rejectsWith("message-refused", () => client.send(BOTH, "A:"));
    assertEquals([error.reply?.code, codes(error.rejected)], [450, [[A, 552], [B, 450]]]);
    await client.send(TO_A, "A:");
  },
  OPTIONS.lmtp,
);

conversation(
  "SmtpClient.send() over LMTP awaits no reply to the end of a content that nobody should get",
  `${LMTP_GREETING}
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RCPT_B, "550 No"], [DATA, "354 Go on"])}
  C: .
  ${another("in a group", "data", "without RSET")}`,
  async (client) => {
    await rejectsWith("recipients-refused", () => client.send(BOTH, "A:"));
    await client.send(TO_A, "A:");
  },
  OPTIONS.lmtp,
);

conversation(
  "SmtpClient.send() over LMTP with BDAT waits for RCPT: with nobody to deliver to, BDAT LAST has no reply (RFC 2033)",
  `${LMTP_GREETING}
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RCPT_B, "550 No"])}
  ${exchange("in a group", [RSET, "250 Reset"], [MAIL, "250 Ok"], [RCPT_A, "250 Ok"])}
  ${BDAT}
  S: 250 taken
  ${QUIT}`,
  async (client) => {
    await rejectsWith("recipients-refused", () => client.send(BOTH, "A:"));
    await client.send(TO_A, "A:");
  },
  OPTIONS["lmtp bdat"],
);

// A RSET that is refused: the recipients of the transaction before may still be there, and would get this message.

conversation(
  "SmtpClient.send() goes on after a refused RSET when the server has taken the message before",
  `${greeting("in a group")}
  ${MAIL}
  ${RCPT_A}
  ${BDAT}
  ${RSET}
  ${MAIL}
  ${RCPT_B}
  ${BDAT}
  S: 250 Ok
  S: 250 Ok
  S: 250 first
  S: 500 What?
  S: 250 Ok
  S: 250 Ok
  S: 250 second
  ${QUIT}`,
  async (client) => {
    const receipts = await Promise.all([A, B].map((to) => client.send({ ...TO_A, to }, "A:")));
    assertEquals(receipts.map(({ reply }) => reply.text), ["first", "second"]);
  },
  OPTIONS.bdat,
);

for (
  const [how, transcript] of [
    [
      "in a group",
      `${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [DATA, "554 No"])}
      ${RSET}
      ${MAIL}
      ${RCPT_A}
      ${DATA}
      S: 500 What?`,
    ],
    ["step by step", exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RSET, "500 What?"])],
  ] as const
) {
  conversation(
    `SmtpClient.send() ${how} sends no content after a refused RSET, and ends the session`,
    `${greeting(how)}\n${transcript}`,
    async (client) => {
      await rejectsWith("recipients-refused", () => client.send(TO_A, "A:"));
      const error = await rejectsWith("command-refused", () => client.send(TO_A, "A:"));
      assertEquals([error.outcome, error.reply?.code, error.usable], ["not-sent", 500, false]);
      assertEquals(client.usable, false);
    },
    OPTIONS.data,
  );
}

conversation(
  "SmtpClient.send() says not-sent when the server refuses RSET and hangs up, whatever was sent after it",
  `${greeting("in a group")}
  ${exchange("in a group", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [BDAT, "554 No"])}
  ${RSET}
  ${MAIL}
  ${RCPT_A}
  ${BDAT}
  S: 554 Too many nonmail commands
  S! close`,
  async (client) => {
    await rejectsWith("recipients-refused", () => client.send(TO_A, "A:"));
    const error = await rejectsWith("service-unavailable", () => client.send(TO_A, "A:"));
    assertEquals([error.outcome, error.reply?.code, error.temporary], ["not-sent", 554, true]);
  },
  OPTIONS.bdat,
);

test("SmtpClient.send() step by step sends nothing after a 421 to RSET", async () => {
  const commands: string[] = [];
  await converse(
    `${greeting("step by step")}
    ${exchange("step by step", [MAIL, "250 Ok"], [RCPT_A, "550 No"], [RSET, "421 Bye"])}`,
    async (client) => {
      await rejectsWith("recipients-refused", () => client.send(TO_A, "A:"));
      const error = await rejectsWith("service-unavailable", () => client.send(TO_A, "A:"));
      assertEquals([error.outcome, error.usable], ["not-sent", false]);
    },
    {
      trace(event) {
        if (event.type === "command") commands.push(`C: ${event.line}`);
      },
    },
  );
  assertEquals(commands, ["C: EHLO client.test", MAIL, RCPT_A, RSET]);
});
