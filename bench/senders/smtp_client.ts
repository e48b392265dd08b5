/**
 * Sends with smtp-client, one command at a time.
 *
 * @module
 */
import { importPeer } from "./import_peer.ts";
import { CLIENT_NAME, FROM, type Job, measure, type Outbox, TO } from "./sender.ts";

interface Client {
  connect(): Promise<unknown>;
  greet(options: { hostname: string }): Promise<unknown>;
  secure(): Promise<unknown>;
  authPlain(credentials: { username: string; password: string }): Promise<unknown>;
  mail(options: { from: string }): Promise<unknown>;
  rcpt(options: { to: string }): Promise<unknown>;
  data(source: string): Promise<unknown>;
  quit(): Promise<unknown>;
}

interface SmtpClientModule {
  default: { SMTPClient: new (options: Record<string, unknown>) => Client };
}

async function open(job: Job): Promise<Outbox> {
  const { default: { SMTPClient } } = await importPeer<SmtpClientModule>("smtp-client");
  const client = new SMTPClient({
    host: job.host,
    port: job.port,
    secure: job.security === "tls",
    ca: job.ca,
  });
  await client.connect();
  await client.greet({ hostname: CLIENT_NAME });
  if (job.security === "starttls") {
    await client.secure();
    await client.greet({ hostname: CLIENT_NAME });
  }
  if (job.user !== undefined) await client.authPlain({ username: job.user, password: job.pass! });
  // The library adds a line end to the content.
  const source = new TextDecoder().decode(job.message).slice(0, -2);
  return {
    async run(more) {
      while (more()) {
        await client.mail({ from: FROM });
        await client.rcpt({ to: TO });
        await client.data(source);
      }
    },
    close: async () => void await client.quit(),
  };
}

await measure(open);
