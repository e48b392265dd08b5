/**
 * The whole way of a message: a server with a throw-away certificate, and a client that switches to TLS, logs in and sends.
 *
 *     deno run --allow-net --allow-env examples/demo.ts
 *
 * In this repository, `deno task demo` runs it. The certificate needs the npm packages `@peculiar/x509` and `reflect-metadata`.
 */
import "reflect-metadata"; // @peculiar/x509 needs it to be loaded first
import { PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import process from "node:process";
import { formatTrace, Reply, SmtpClient } from "@streams/smtp";
import { serve } from "@streams/smtp/server";

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

const certificate = await createCertificate();
let arrived = "";

await using server = serve({ serverName: "mx.server.example", tls: certificate }, {
  auth: ({ user, pass }) => user === "ada" && pass === "correct horse",
  rcpt: ({ address }) => {
    if (address.startsWith("nobody@")) throw new Reply(550, "No such user here", { enhancedCode: "5.1.1" });
  },
  message: async (content) => {
    const decoder = new TextDecoder();
    for await (const chunk of content) arrived += decoder.decode(chunk, { stream: true });
    return new Reply(250, "Ok: queued as DEMO-1", { enhancedCode: "2.0.0" });
  },
});
const { port } = await server.listening;

console.log(bold("The conversation"));
const receipt = await (async () => {
  await using client = await SmtpClient.connect({
    hostname: "localhost",
    port,
    tls: { caCerts: [certificate.cert] },
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
for (const { recipient, reply, error } of receipt.rejected) {
  console.log(`rejected  ${recipient}: ${reply ?? error?.message}`);
}
console.log(`reply     ${receipt.reply}`);
console.log(`queue id  ${receipt.queueId}`);

console.log(`\n${bold("The message as it arrived")}`);
console.log(arrived);

/** Makes a certificate for localhost that signs itself and is valid for a day, and its private key, both PEM. */
async function createCertificate(): Promise<{ cert: string; key: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=localhost",
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(),
    notAfter: new Date(Date.now() + 24 * 60 * 60 * 1000),
    extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }])],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: certificate.toString("pem"), key: PemConverter.encode(key, "PRIVATE KEY") };
}
