// What a page may do: send a mail through its own streams. At their other end is a server of a few lines.
import { SmtpClient } from "@streams/smtp";

export async function send() {
  const up = new TransformStream();
  const down = new TransformStream();
  const served = serve(up.readable, down.writable);
  const socket = { readable: down.readable, writable: up.writable };
  const client = await SmtpClient.connect({ socket, security: "none" });
  await client.send(
    { from: "me@client.test", to: "you@server.test" },
    "Subject: From a page\r\n\r\nHello\r\n",
  );
  await client.quit();
  return await served;
}

/** Answers every command, and returns the content of the mail. */
async function serve(readable, writable) {
  const writer = writable.getWriter();
  const say = (reply) => writer.write(new TextEncoder().encode(`${reply}\r\n`));
  await say("220 mx.test");
  let pending = "";
  let content;
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + text).split("\r\n");
    pending = lines.pop();
    for (const line of lines) {
      if (content !== undefined && !content.ended) {
        if (line === ".") {
          content.ended = true;
          await say("250 Ok");
        } else content.text += `${line}\n`;
      } else if (line === "DATA") {
        content = { text: "", ended: false };
        await say("354 Go on");
      } else await say(line === "QUIT" ? "221 Bye" : "250 Ok");
      if (line === "QUIT") return content.text;
    }
  }
}
