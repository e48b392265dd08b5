// A worker that sends a mail according to its request, bundled into one file.
import { SmtpClient } from "@streams/smtp";

export default {
  async fetch(request) {
    try {
      const client = await SmtpClient.connect(await request.json());
      const envelope = { from: "me@client.test", to: "you@server.test" };
      const { accepted } = await client.send(envelope, "Subject: From a worker\r\n\r\nHello\r\n");
      await client.quit();
      return Response.json({ accepted });
    } catch (error) {
      return Response.json({ error: String(error) });
    }
  },
};
