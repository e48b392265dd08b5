import { assert, assertEquals, assertMatch } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatTrace, SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions, TraceEvent } from "../../mod.ts";
import { compose } from "../../src/compose/mod.ts";
import type { ComposedMail, Mail } from "../../src/compose/mod.ts";
import { sendMail, test } from "../support/harness.ts";
import { inAwkwardPieces, inLines, mixedLines } from "../support/mail_content.ts";
import { postfixMissing, startPostfix, withoutTraceHeaders } from "../support/postfix.ts";
import type { Postfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runExample } from "../support/run_example.ts";

const HEADER = `From: sender@example.com
To: someone@example.org
Subject: A real message to a real server
Date: Sun, 22 Nov 2026 12:00:00 +0000
Message-ID: <1@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

`;
const FROM = "sender@example.com";

function options(postfix: Postfix, security: "starttls" | "tls"): SmtpClientOptions {
  return {
    hostname: "localhost",
    port: security === "tls" ? postfix.tlsPort : postfix.requiredTlsPort,
    security,
    tls: { caCerts: [postfix.ca] },
    auth: { user: postfix.user, pass: postfix.pass },
    clientName: "client.test",
  };
}

function interop(name: string, body: (postfix: Postfix) => Promise<void>): void {
  test(`Postfix: ${name}`, { skip: postfixMissing(), timeout: 60_000 }, async () => {
    await using postfix = await startPostfix();
    await body(postfix);
  });
}

async function arrives(postfix: Postfix, recipient: string, message: string): Promise<void> {
  const [mail, ...more] = await postfix.waitForMail(recipient, 1);
  assertEquals(more.length, 0);
  const actual = withoutTraceHeaders(mail!);
  const expected = new TextEncoder().encode(inLines(message));
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert(
    at < 0 && actual.length === expected.length,
    `byte ${at} of ${actual.length} differs, of ${expected.length}`,
  );
}

for (const security of ["starttls", "tls"] as const) {
  interop(`a plain message with a login over ${security} arrives to the byte`, async (postfix) => {
    const message = `${HEADER}Hello\n.\n..\n.dot\n\n`;
    const receipt = await sendMail(
      options(postfix, security),
      { from: FROM, to: "plain@example.org" },
      message,
    );
    assertEquals(receipt.accepted, ["plain@example.org"]);
    assertEquals(receipt.reply.enhancedCode, "2.0.0");
    assertMatch(receipt.queueId ?? "", /^[0-9A-Za-z]{6,}$/);
    await arrives(postfix, "plain@example.org", message);
  });

  interop(
    `a stream of 20 MB with dots and mixed line ends over ${security} arrives to the byte`,
    async (postfix) => {
      const message = HEADER + mixedLines(20 * 1024 * 1024);
      const receipt = await sendMail(
        options(postfix, security),
        { from: FROM, to: "large@example.org" },
        inAwkwardPieces(new TextEncoder().encode(message)),
      );
      assertEquals(receipt.accepted, ["large@example.org"]);
      await arrives(postfix, "large@example.org", message);
    },
  );
}

for (const transfer of ["auto", "data"] as const) {
  interop(`a message arrives with QUIT right behind it, transfer ${transfer}`, async (postfix) => {
    const message = `${HEADER}With QUIT behind it\n`;
    const traced: string[] = [];
    const trace = (event: TraceEvent) => void traced.push(formatTrace(event));
    const to = "quit@example.org";
    await sendMail({ ...options(postfix, "starttls"), transfer, trace }, { from: FROM, to }, message);
    const behind = traced.slice(traced.indexOf("C: QUIT")).map((line) => line.slice(0, 6));
    // By BDAT the replies to MAIL and RCPT come behind it, too.
    const replies = transfer === "auto" ? ["S: 250", "S: 250", "S: 250"] : ["S: 250"];
    assertEquals(behind.slice(0, -1), ["C: QUI", ...replies, "S: 221"]);
    await arrives(postfix, to, message);
  });
}

interop("non-ASCII content and a non-ASCII address arrive to the byte", async (postfix) => {
  const message = `${HEADER}Grüße, 你好, привет 👋\r\nÄ without a final line end`;
  const receipt = await sendMail(
    options(postfix, "starttls"),
    { from: "jürgen@example.com", to: "empfänger@example.org" },
    message,
  );
  assertEquals(receipt.accepted, ["empfänger@example.org"]);
  await arrives(postfix, "empfänger@example.org", message);
});

interop("no white space of Unicode ends the header of a composed mail", async (postfix) => {
  const spaces = [..."\u00a0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\ufeff"];
  await using client = await SmtpClient.connect(options(postfix, "starttls"));
  let sent = 0;
  for (const space of spaces) {
    const text = `${"a".repeat(50)}${space}Bcc:victim@example.org${"b".repeat(50)}`;
    for (
      const fields of [
        {
          from: { name: text, address: FROM },
          subject: text,
          attachments: [{ filename: text, content: "" }],
        },
        { from: FROM, headers: { "OTP-Token": text } },
        { from: { address: `"ü${text}"@example.com` } },
        { from: FROM, cc: `jürgen${"a".repeat(50)}${space}Bcc:${"b".repeat(20)}@example.org` },
      ] as Partial<Mail>[]
    ) {
      let mail: ComposedMail;
      try {
        mail = compose({ from: FROM, to: "spaces@example.org", text: "The text", ...fields });
      } catch (error) {
        assert(error instanceof TypeError, String(error)); // refused
        continue;
      }
      await client.send({ from: FROM, to: "spaces@example.org", smtpUtf8: true }, mail.message);
      sent++;
    }
  }
  assert(sent >= 2 * spaces.length, `${sent} were sent`);
  for (const mail of await postfix.waitForMail("spaces@example.org", sent)) {
    const text = new TextDecoder("latin1").decode(withoutTraceHeaders(mail));
    const header = text.slice(0, text.indexOf("\n\n") + 1);
    // The last field of the header is the library's: what Postfix takes for the beginning of the text is behind an empty line.
    assertMatch(header, /^Content-Type: /m);
    for (const line of header.trimEnd().split("\n")) {
      assertMatch(line, /^(?:[\x21-\x39\x3b-\x7e]+:|[ \t]+\S)/);
    }
    assert(!/^Bcc:/mi.test(text), text);
  }
});

interop("of two recipients one is refused, and the other gets the message", async (postfix) => {
  const message = `${HEADER}For one of two\n`;
  await using client = await SmtpClient.connect(options(postfix, "starttls"));
  const receipt = await client.send({ from: FROM, to: ["reject@example.org", "taken@example.org"] }, message);
  assertEquals(receipt.accepted, ["taken@example.org"]);
  assertEquals(
    receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code, reply?.enhancedCode]),
    [
      ["reject@example.org", 550, "5.1.1"],
    ],
  );
  await arrives(postfix, "taken@example.org", message);
});

interop("refused recipients leave the session usable for the next message", async (postfix) => {
  const message = `${HEADER}After a refusal\n`;
  await using client = await SmtpClient.connect(options(postfix, "starttls"));
  const refusal = rejectsWith(
    "recipients-refused",
    () => client.send({ from: FROM, to: ["reject@example.org"] }, "A: Nobody gets this"),
  );
  const deferral = rejectsWith(
    "recipients-refused",
    () =>
      client.send({ from: FROM, to: ["defer@example.org", "usable@example.org"] }, "A: x", {
        recipients: "all",
      }),
  );
  const receipt = await client.send({ from: FROM, to: "usable@example.org" }, message);
  assertEquals([(await refusal).outcome, (await refusal).temporary], ["refused", false]);
  assertEquals([(await deferral).outcome, (await deferral).temporary], ["refused", true]);
  assertEquals(receipt.accepted, ["usable@example.org"]);
  await arrives(postfix, "usable@example.org", message);
});

interop("a wrong password and an unknown authority are told apart", async (postfix) => {
  const good = options(postfix, "starttls");
  const wrong = await rejectsWith(
    "auth-failed",
    () => SmtpClient.connect({ ...good, auth: { user: postfix.user, pass: "not the password" } }),
  );
  assertEquals([wrong.reply?.code, wrong.enhancedCode], [535, "5.7.8"]);
  const untrusted = await rejectsWith(
    "certificate-untrusted",
    () => SmtpClient.connect({ ...good, tls: {} }),
  );
  assertEquals(untrusted.phase, "starttls");
  const misnamed = await rejectsWith(
    "certificate-name",
    () => SmtpClient.connect({ ...good, tls: { caCerts: [postfix.ca], serverName: "mail.example.org" } }),
  );
  assertEquals(misnamed.phase, "starttls");
});

interop("examples/send_file.ts sends a file as a stream", async (postfix) => {
  const folder = mkdtempSync(join(tmpdir(), "smtp-send-file-"));
  try {
    const message = HEADER.replace("someone@", "file@") + mixedLines(1024 * 1024);
    writeFileSync(join(folder, "message.eml"), message);
    writeFileSync(join(folder, "ca.pem"), postfix.ca);
    const { code, output } = await runExample(
      "send_file.ts",
      [
        "localhost",
        `${postfix.requiredTlsPort}`,
        join(folder, "message.eml"),
        `--user=${postfix.user}`,
        `--ca=${join(folder, "ca.pem")}`,
      ],
      { SMTP_PASSWORD: postfix.pass },
    );
    assertEquals(code, 0, output);
    assertMatch(output, /bytes in .* s: 250 2\.0\.0 Ok: .*queued as/);
    await arrives(postfix, "file@example.org", message);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
