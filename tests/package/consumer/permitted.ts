// Sends a mail according to its argument, on Deno, and prints the result.
import { SmtpClient, SmtpError } from "../../../mod.ts";

try {
  const client = await SmtpClient.connect(JSON.parse(Deno.args[0]!));
  const { accepted } = await client.send(
    { from: "me@client.test", to: "you@server.test" },
    "Subject: Hi\r\n\r\nHello",
  );
  const { secure, authenticated } = client;
  await client.quit();
  console.log(JSON.stringify({ accepted, secure, authenticated }));
} catch (error) {
  if (!(error instanceof SmtpError)) throw error;
  const { code, outcome, message } = error;
  console.log(JSON.stringify({ code, outcome, message }));
}
