/**
 * Sends with @upyo/smtp, which composes each message itself. The text is chosen so that messages are about as large as the
 * others. Each connection sends with `sendMany()`, which saves the RSET that `send()` sends after each message.
 *
 * @module
 */
import { importPeer } from "./import_peer.ts";
import { CLIENT_NAME, FROM, type Job, measure, type Outbox, TO } from "./sender.ts";

interface Transport {
  sendMany(messages: Iterable<unknown>): AsyncIterable<{ successful: boolean; errorMessages?: string[] }>;
  closeAllConnections(): Promise<void>;
}

interface UpyoSmtp {
  SmtpTransport: new (options: Record<string, unknown>) => Transport;
}

interface UpyoCore {
  createMessage(message: Record<string, unknown>): unknown;
}

async function open(job: Job): Promise<Outbox> {
  const { SmtpTransport } = await importPeer<UpyoSmtp>("@upyo/smtp");
  const { createMessage } = await importPeer<UpyoCore>("@upyo/core");
  const transport = new SmtpTransport({
    host: job.host,
    port: job.port,
    secure: job.security === "tls",
    localName: CLIENT_NAME,
    pool: true,
    poolSize: job.connections,
    ...(job.ca !== undefined && { tls: { ca: [job.ca] } }),
    ...(job.user !== undefined &&
      {
        auth: {
          user: job.user,
          pass: job.pass,
          ...(job.mechanism !== undefined && { method: job.mechanism.toLowerCase() }),
        },
      }),
  });
  const message = createMessage({
    from: FROM,
    to: TO,
    subject: "A message to measure",
    content: { text: job.text },
  });
  return {
    async run(more) {
      await Promise.all(Array.from({ length: job.connections }, async () => {
        const messages = function* () {
          while (more()) yield message;
        };
        for await (const { successful, errorMessages } of transport.sendMany(messages())) {
          if (!successful) throw new Error(errorMessages?.join());
        }
      }));
    },
    close: () => transport.closeAllConnections(),
  };
}

await measure(open);
