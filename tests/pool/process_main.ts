/**
 * A program of its own with a pool in its module, which it never closes: see `process_test.ts`.
 * @module
 */
import process from "node:process";
import { SmtpPool } from "../../src/pool/pool.ts";
import type { SmtpPoolOptions } from "../../src/pool/options.ts";
import type { ProcessTask } from "./process_test.ts";

const { port, caCerts, mails, rate, busy }: ProcessTask = JSON.parse(process.argv[2]!);
const options: SmtpPoolOptions = {
  hostname: "127.0.0.1",
  port,
  clientName: "client.test",
  retry: { attempts: 3, delay: 50 },
  ...(rate !== undefined && { rateLimit: { messages: 1, interval: rate } }),
  ...(caCerts === undefined
    ? { security: "none" }
    : { security: "starttls", tls: { caCerts, serverName: "localhost" } }),
};
const pool = new SmtpPool(options);
const send = () => pool.send({ from: "me@example.com", to: "you@example.org" }, "Subject: Hi\r\n\r\nHello");
if (busy) {
  await send();
  console.log("idle");
  // Too busy to see anything for as long as the server is patient, and longer: as an isolate that sleeps.
  for (const until = Date.now() + 1_500; Date.now() < until;);
  const { tries } = await send();
  console.log(tries.map(({ outcome }) => outcome).join());
} else {
  // Nobody awaits them: what waits must keep the process alive, and nothing else may.
  for (let i = 0; i < mails; i++) send().then(() => console.log("sent"), ({ code }) => console.log(code));
}
