/**
 * Sends with emailjs, which composes each message itself. The text is chosen so that messages are about as large as the others.
 *
 * @module
 */
import { importPeer } from "./import_peer.ts";
import { AHEAD, CLIENT_NAME, FROM, inParallel, type Job, measure, type Outbox, TO } from "./sender.ts";

interface Client {
  sendAsync(message: Record<string, string>): Promise<unknown>;
  readonly smtp: { quit(): void };
}

interface Emailjs {
  SMTPClient: new (options: Record<string, unknown>) => Client;
}

async function open(job: Job): Promise<Outbox> {
  const { SMTPClient } = await importPeer<Emailjs>("emailjs");
  const clients = Array.from({ length: job.connections }, () =>
    new SMTPClient({
      host: job.host,
      port: job.port,
      domain: CLIENT_NAME,
      timeout: 60_000,
      ssl: job.security === "tls" && { ca: job.ca },
      tls: job.security === "starttls" && { ca: job.ca },
      ...(job.user !== undefined && { user: job.user, password: job.pass }),
    }));
  const mail = { from: FROM, to: TO, subject: "A message to measure", text: job.text };
  return {
    async run(more) {
      await Promise.all(clients.map((client) => inParallel(AHEAD, more, () => client.sendAsync(mail))));
    },
    close() {
      for (const client of clients) client.smtp.quit();
      return Promise.resolve();
    },
  };
}

await measure(open);
