/**
 * A program of its own that connects, sends a mail, and forgets `quit()`: see `idle_test.ts`.
 * @module
 */
import process from "node:process";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import type { IdleTask } from "./idle_test.ts";

const { port, caCerts, mails, begins, stays }: IdleTask = JSON.parse(process.argv[2]!);
const options: SmtpClientOptions = {
  hostname: "127.0.0.1",
  port,
  clientName: "client.test",
  ...(caCerts === undefined
    ? { security: "none" }
    : { security: "starttls", tls: { caCerts, serverName: "localhost" } }),
};
const client = await SmtpClient.connect(options);
for (let i = 0; i < mails; i++) {
  await client.send({ from: "me@example.com", to: "you@example.org" }, "Subject: Hi\r\n\r\nHello");
}
if (begins) await client.mail("me@example.com");
console.log("idle");
if (stays) {
  const timer = setInterval(() => {}, 1_000);
  await client.closed;
  clearInterval(timer);
  const error = await client.noop().catch((error) => error);
  console.log(client.usable, error instanceof SmtpError ? String(error.cause) : error);
}
