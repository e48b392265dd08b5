/**
 * Sends a message from a file of any size, as a stream.
 *
 *     deno run --allow-net --allow-read --allow-env=SMTP_PASSWORD examples/send_file.ts HOST PORT FILE.eml
 *
 * The addresses come from the file's header, unless `--from` and `--to` are given.
 */
import { createReadStream } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { sendMail, SmtpError } from "@streams/smtp";
import type { Security } from "@streams/smtp";

const USAGE = `send_file.ts HOST PORT FILE.eml [options]

  --from ADDRESS       the sender; default: from the header field From
  --to ADDRESS         a recipient, can be repeated; default: from To and Cc
  --user NAME          log in, with the password in the environment variable SMTP_PASSWORD
  --security WORD      tls, starttls, opportunistic or none
  --ca FILE            trust this certificate authority, PEM`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: "string" },
    to: { type: "string", multiple: true },
    user: { type: "string" },
    security: { type: "string" },
    ca: { type: "string" },
  },
});
const [hostname, port, file] = positionals;
if (hostname === undefined || port === undefined || file === undefined) {
  console.error(USAGE);
  process.exit(2);
}

const header = await readHeader(file);
const from = values.from ?? addresses(header, "from")[0] ?? null;
const to = values.to ?? [...addresses(header, "to"), ...addresses(header, "cc")];
const { size } = await stat(file);
const begin = performance.now();

try {
  const receipt = await sendMail(
    {
      hostname,
      port: Number(port),
      ...(values.security !== undefined && { security: values.security as Security }),
      ...(values.ca !== undefined && { tls: { caCerts: [await readFile(values.ca, "utf8")] } }),
      ...(values.user !== undefined &&
        { auth: { user: values.user, pass: process.env.SMTP_PASSWORD ?? "" } }),
      onProgress: ({ sent }) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${Math.floor((100 * sent) / size)} %`);
      },
    },
    { from, to },
    createReadStream(file, { highWaterMark: 256 * 1024 }),
  );
  const seconds = (performance.now() - begin) / 1000;
  console.log(`${size} bytes in ${seconds.toFixed(2)} s: ${receipt.reply}`);
  for (const { recipient, reply, error } of receipt.rejected) {
    console.log(`refused: ${recipient}: ${reply ?? error?.message}`);
  }
} catch (error) {
  if (!(error instanceof SmtpError)) throw error;
  console.error(`${error.outcome} (${error.code}): ${error.message}`);
  process.exitCode = 1;
}

/** Reads the header: everything before the first empty line. No sensible message has a header of more than 256 KiB. */
async function readHeader(path: string): Promise<string> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(256 * 1024), 0, 256 * 1024, 0);
    const text = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    return text.split(/\r?\n\r?\n/, 1)[0]!.replaceAll(/\r?\n[ \t]+/g, " ");
  } finally {
    await handle.close();
  }
}

/** Finds the addresses in a header field. Enough for plain headers; a mail program would parse them (RFC 5322, section 3.4). */
function addresses(header: string, field: string): string[] {
  const line = header.split(/\r?\n/).find((line) => line.toLowerCase().startsWith(`${field}:`));
  return line?.match(/[^\s<>,:;"]+@[^\s<>,:;"]+/g) ?? [];
}
