// deno bundle makes the whole library one ES module.
// @ts-ignore The module does not exist before that.
import { connectWebSocket, SmtpClient, SmtpError } from "./smtp.js";

const form = document.getElementById("mail");
const bar = document.getElementById("progress");
const sent = document.getElementById("sent");
const outcome = document.getElementById("outcome");

const servers = await (await fetch("servers")).json();
for (const { name, tls } of servers) {
  form.elements.server.append(new Option(tls ? `${name}, with TLS` : name, name));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { server, user, pass, from, to, subject, text, file } = Object.fromEntries(new FormData(form));
  const controller = new AbortController();
  form.elements.cancel.onclick = () => controller.abort();
  setBusy(true);
  show("", false);
  try {
    const message = compose({ from, to, subject, text, file });
    const receipt = await send(server, {
      auth: user === "" ? undefined : { user, pass },
      envelope: { from, to: to.split(",").map((address) => address.trim()) },
      message,
      signal: controller.signal,
    });
    const refused = receipt.rejected.map(({ recipient, reply, error }) =>
      `Refused: ${recipient}: ${reply ?? error.message}`
    );
    const accepted = receipt.accepted.map((recipient) => `Accepted: ${recipient}`);
    show([...accepted, ...refused, `Reply: ${receipt.reply}`].join("\n"), false);
  } catch (error) {
    const more = error instanceof SmtpError
      ? ` (${error.code}, ${error.outcome ?? "no mail was being sent"})`
      : "";
    const cause = error.cause instanceof Error ? `\n${error.cause.message}` : "";
    show(`${error.message}${more}${cause}`, true);
  } finally {
    setBusy(false);
  }
});

async function send(server, { auth, envelope, message, signal }) {
  const { tls } = servers.find(({ name }) => name === server) ?? { tls: false };
  const url = new URL(`smtp/${server}`, location.href);
  const client = await SmtpClient.connect({
    // The bridge runs on this machine and connects to the server over TLS: the whole way is protected.
    socket: connectWebSocket(url, { secureTransport: tls ? "on" : "off" }),
    // "none" allows a login without TLS, for a test server on this machine.
    security: tls ? "tls" : "none",
    clientName: "page.example",
    signal,
    ...(auth && { auth }),
  });
  try {
    return await client.send(envelope, message.content, {
      signal,
      onProgress: (progress) => showProgress(progress.sent, message.length),
    });
  } finally {
    await client.quit().catch(() => {});
  }
}

function showProgress(count, length) {
  bar.max = length;
  bar.value = count;
  sent.value = `${(count / 1e6).toFixed(1)} of ${(length / 1e6).toFixed(1)} MB`;
}

function show(text, failed) {
  outcome.value = text;
  outcome.className = failed ? "failed" : "";
}

function setBusy(busy) {
  form.elements.send.disabled = busy;
  form.elements.cancel.disabled = !busy;
  if (busy) showProgress(0, 1);
}

/** Composes a message of a text and a file. They are read and encoded piece by piece: the file is never in memory as a whole. */
function compose({ from, to, subject, text, file }) {
  const boundary = crypto.randomUUID();
  const name = file.name.replace(/[^\w. -]/g, "_") || "nothing";
  const parts = [
    [
      `From: ${from}`,
      `To: ${to}`,
      `Subject: ${encodeWord(subject)}`,
      `Date: ${new Date().toUTCString().replace("GMT", "+0000")}`,
      `Message-ID: <${crypto.randomUUID()}@page.example>`,
      "MIME-Version: 1.0",
      `Content-Type: multipart/mixed; boundary="${boundary}"`,
      "",
      `--${boundary}`,
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: base64",
      "\r\n",
    ].join("\r\n"),
    new Blob([text]),
    [
      `--${boundary}`,
      `Content-Type: application/octet-stream`,
      `Content-Disposition: attachment; filename="${name}"`,
      "Content-Transfer-Encoding: base64",
      "\r\n",
    ].join("\r\n"),
    file,
    `--${boundary}--\r\n`,
  ];
  let length = 0;
  for (const part of parts) {
    length += typeof part === "string"
      ? part.length
      : Math.ceil(part.size / 3) * 4 + Math.ceil(part.size / LINE) * 2;
  }
  return { length, content: encode(parts) };
}

/** How many bytes make a base64 line of 76 characters (RFC 2045, section 6.8). */
const LINE = 57;

async function* encode(parts) {
  const encoder = new TextEncoder();
  for (const part of parts) {
    if (typeof part === "string") {
      yield encoder.encode(part);
      continue;
    }
    for (let start = 0; start < part.size; start += 1024 * LINE) {
      const bytes = new Uint8Array(await part.slice(start, start + 1024 * LINE).arrayBuffer());
      yield encoder.encode(bytes.toBase64().replace(/.{1,76}/g, "$&\r\n"));
    }
  }
}

/** Encodes a header value that is not ASCII (RFC 2047). */
function encodeWord(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return `=?utf-8?B?${new TextEncoder().encode(text).toBase64()}?=`;
}
