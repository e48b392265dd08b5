import { assert, assertEquals } from "@std/assert";
import PostalMime from "postal-mime";
import { SmtpClient } from "../../mod.ts";
import { compose, ConversionError } from "../../src/compose/mod.ts";
import { serve } from "../../src/server/mod.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { readBytes } from "./read.ts";

interface Taken {
  from: string;
  to: readonly string[];
  message: Uint8Array<ArrayBuffer>;
}

/** Our server, and a client that has sent EHLO. */
async function start(hide: string[] = []) {
  const taken: Taken[] = [];
  const server = serve({ port: 0, serverName: "mx.test", hide }, {
    async message(content, { envelope: { from, to } }) {
      taken.push({ from: String(from), to, message: await readBytes(content) });
    },
  });
  const { port } = await server.listening;
  const client = await SmtpClient.connect({
    hostname: "127.0.0.1",
    port,
    security: "none",
    clientName: "client.test",
  });
  return {
    client,
    taken,
    async [Symbol.asyncDispose]() {
      await client.quit();
      await server.shutdown();
    },
  };
}

test("A composed mail is sent, to those in bcc too", async () => {
  await using setting = await start();
  const content = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
  const { envelope, message } = compose({
    from: "Jane Doe <jane@example.com>",
    to: "you@example.org",
    bcc: "secret@example.org",
    subject: "Grüße",
    text: ".hidden\n..\nGrüße",
    attachments: [{ filename: "a.bin", content: new Blob([content]).stream() }],
  });
  const receipt = await setting.client.send(envelope, message);
  assertEquals(receipt.accepted, ["you@example.org", "secret@example.org"]);
  const [mail] = setting.taken;
  assertEquals([mail!.from, mail!.to], ["jane@example.com", ["you@example.org", "secret@example.org"]]);
  assert(!new TextDecoder().decode(mail!.message).includes("secret"));
  const parsed = await PostalMime.parse(mail!.message);
  assertEquals([parsed.subject, parsed.text?.trim()], ["Grüße", ".hidden\n..\nGrüße"]);
  assertEquals(new Uint8Array(parsed.attachments[0]!.content as ArrayBuffer), content);
});

test("A composed mail is sent again from a function that opens it", async () => {
  await using setting = await start();
  const { envelope, open } = compose({
    from: "jane@example.com",
    to: "you@example.org",
    text: "Hello",
    attachments: [{ content: () => new Blob(["content"]).stream() }],
  });
  for (let i = 0; i < 2; i++) await setting.client.send(envelope, open);
  assertEquals(setting.taken[0], setting.taken[1]);
  assertEquals(setting.taken.length, 2);
});

test("A composed mail with a source that fails is not sent, and the session goes on", async () => {
  await using setting = await start();
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("Disk gone")),
  });
  const mail = compose({ from: "a@example.com", to: "b@example.org", attachments: [{ content: broken }] });
  const error = await rejectsWith("source-failed", () => setting.client.send(mail.envelope, mail.message));
  assertEquals(error.outcome, "not-sent");
  assertEquals(setting.taken.length, 0);
});

test('With encode "auto", an 8bit message reaches a server without 8BITMIME in ASCII, and others unchanged', async () => {
  const message = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    "Content-Transfer-Encoding: 8bit\r\n\r\nHello Jürgen, hello all\r\n";
  const envelope = { from: "a@example.com", to: "b@example.org" };
  for (const hide of [["8BITMIME"], []]) {
    await using setting = await start(hide);
    await setting.client.send(envelope, new Blob([message]).stream(), { encode: "auto" });
    const text = new TextDecoder().decode(setting.taken[0]!.message);
    assertEquals(
      text,
      hide.length === 0
        ? message
        : message.replace("8bit", "quoted-printable").replace("Jürgen", "J=C3=BCrgen"),
    );
    if (hide.length === 0) continue;
    const signed = message.replace(/text\/plain[^\r]*/, "multipart/signed; boundary=b")
      .replace("Hello", "--b\r\n\r\nHello") + "--b--\r\n";
    const error = await rejectsWith(
      "source-failed",
      () => setting.client.send(envelope, signed, { encode: "auto" }),
    );
    assert(error.cause instanceof ConversionError);
    assertEquals([error.cause.code, error.outcome], ["signed", "not-sent"]);
  }
});
