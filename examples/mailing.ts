/**
 * Sends a message to each row of a CSV file, and writes a report: a row for each, with what became of it. Run again with the same
 * report, it goes on: rows that were sent, refused for good, or may have been sent are left alone.
 *
 *     bun run examples/mailing.ts HOST PORT ROWS.csv REPORT.csv --from news@example.com
 *
 * A row is an address and a name, `jane@example.org,Jane`, without quotes.
 */
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { SmtpError, SmtpPool } from "@streams/smtp";
import type { Security } from "@streams/smtp";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: "string" },
    user: { type: "string" },
    security: { type: "string" },
    minute: { type: "string" },
  },
});
const [hostname, port, input, output] = positionals;
if (output === undefined || values.from === undefined) {
  console.error(
    "mailing.ts HOST PORT ROWS.csv REPORT.csv --from ADDRESS [--user NAME] [--security WORD] [--minute COUNT]",
  );
  process.exit(2);
}
const { from } = values;

const pool = new SmtpPool({
  hostname: hostname!,
  port: Number(port),
  ...(values.security !== undefined && { security: values.security as Security }),
  ...(values.user !== undefined && { auth: { user: values.user, pass: process.env.SMTP_PASSWORD ?? "" } }),
  ...(values.minute !== undefined && { rateLimit: { messages: Number(values.minute), interval: 60_000 } }),
  retry: { attempts: 10, refused: true },
});

/** The addresses that are done, by the report of an earlier run. */
const done = new Set<string>();
if (existsSync(output)) {
  for await (const line of createInterface({ input: createReadStream(output) })) {
    const [address = "", outcome] = line.split(",");
    if (outcome !== "not-sent") done.add(address);
  }
}

async function* mails() {
  for await (const line of createInterface({ input: createReadStream(input!) })) {
    const [address = "", name = ""] = line.split(",");
    if (address === "" || done.has(address)) continue;
    const message = `From: ${from}\r\nTo: ${address}\r\nSubject: News\r\n\r\nDear ${name},\r\nhello.\r\n`;
    yield { envelope: { from, to: address }, message, address };
  }
}

const report = createWriteStream(output, { flags: "a" });
const counts: Record<string, number> = {};
try {
  for await (const { mail, receipt, error } of pool.sendAll(mails())) {
    const outcome = receipt ? "sent" : error instanceof SmtpError ? error.outcome : "not-sent";
    const reply = receipt?.reply ?? (error instanceof SmtpError ? error.reply : undefined);
    report.write(`${mail.address},${outcome},${receipt?.tries.length ?? ""},${reply?.code ?? ""}\n`);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
} catch (error) {
  console.error((error as Error).message); // no server can be used, and the rest was not touched
  process.exitCode = 1;
}
await pool.close();
await new Promise((resolve) => report.end(resolve));
console.log(
  Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`).join(", ") || "nothing to send",
);
