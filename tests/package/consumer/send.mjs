// What a user of the package writes: plain JavaScript. It gets its order as JSON, and prints the result.
import process from "node:process";
import { sendMail, SmtpClient } from "@streams/smtp";

const { port, caCerts, auth } = JSON.parse(process.argv[2]);
const secured = { hostname: "localhost", port, security: "starttls", tls: { caCerts }, auth };

const client = await SmtpClient.connect(secured);
const envelope = { from: "me@client.test", to: ["you@server.test", "nobody@server.test"] };
const first = await client.send(envelope, "Subject: One\r\n\r\nHello\r\n");
await client.quit();

const second = await sendMail(
  secured,
  { from: "me@client.test", to: "you@server.test" },
  new Blob(["Subject: Two\r\n\r\nHello\r\n"]).stream(),
);

console.log(JSON.stringify({
  accepted: first.accepted,
  rejected: first.rejected.map(({ recipient, reply }) => [recipient, reply.code]),
  queueId: second.queueId,
}));
