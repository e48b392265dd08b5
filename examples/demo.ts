/**
 * The main job, from end to end: a server with a throw-away certificate, and a client that goes over to TLS, logs in and
 * sends a message. `deno task demo` runs it.
 */
import process from "node:process";
import { toText } from "@std/streams/to-text";
import { formatTrace, Reply, SmtpClient } from "../mod.ts";
import { serve } from "../src/server/mod.ts";
import { createAuthority } from "../tests/support/certificates.ts";

const colours = process.stdout.isTTY && process.env.NO_COLOR === undefined;
const paint = (colour: number) => (text: string) => colours ? `\x1b[${colour}m${text}\x1b[0m` : text;
const bold = paint(1), green = paint(32), cyan = paint(36), grey = paint(90);

const MESSAGE = `From: Ada <ada@client.example>
To: Grace <grace@server.example>, Nobody <nobody@server.example>
Subject: A first mail
Date: ${new Date().toUTCString().replace("GMT", "+0000")}
Message-ID: <${crypto.randomUUID()}@client.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Grüße!
.This line begins with a dot, and the lines end with LF alone:
the library takes care of both.
`;

const authority = await createAuthority();
const arrived = Promise.withResolvers<string>();

await using server = serve({ serverName: "mx.server.example", tls: await authority.issue() }, {
  auth: ({ user, pass }) => user === "ada" && pass === "correct horse",
  rcpt: ({ address }) => {
    if (address.startsWith("nobody@")) throw new Reply(550, "No such user here", { enhancedCode: "5.1.1" });
  },
  message: async (content) => {
    arrived.resolve(await toText(content));
    return new Reply(250, "Ok: queued as DEMO-1", { enhancedCode: "2.0.0" });
  },
});
const { port } = await server.listening;

console.log(bold("The conversation"));
const receipt = await (async () => {
  await using client = await SmtpClient.connect({
    hostname: "localhost",
    port,
    tls: { caCerts: [authority.cert] },
    auth: { user: "ada", pass: "correct horse" },
    clientName: "client.example",
    trace: (event) => {
      const colour = event.type === "reply" ? green : event.type === "state" ? grey : cyan;
      for (const line of formatTrace(event).split("\n")) console.log(colour(line));
    },
  });
  return await client.send(
    { from: "ada@client.example", to: ["grace@server.example", "nobody@server.example"] },
    MESSAGE,
  );
})();

console.log(`\n${bold("The receipt")}`);
console.log(`accepted  ${receipt.accepted.join(", ")}`);
for (const { recipient, reply } of receipt.rejected) console.log(`rejected  ${recipient}: ${reply}`);
console.log(`reply     ${receipt.reply}`);
console.log(`queue id  ${receipt.queueId}`);

console.log(`\n${bold("The message as it arrived")}`);
console.log(await arrived.promise);
