/**
 * Sends with nodemailer's `smtp-connection`, its lowest layer: no pool, no composing, one message after the other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { importPeer } from "./import_peer.ts";
import { CLIENT_NAME, FROM, type Job, measure, type Outbox, TO } from "./sender.ts";

type Done = (error?: Error | null) => void;

interface Connection {
  connect(done: Done): void;
  login(credentials: Record<string, unknown>, done: Done): void;
  send(envelope: { from: string; to: string[] }, message: unknown, done: Done): void;
  quit(): void;
  on(event: "error", listener: (error: Error) => void): void;
}

interface SmtpConnectionModule {
  default: new (options: Record<string, unknown>) => Connection;
}

async function open(job: Job): Promise<Outbox> {
  const { default: SmtpConnection } = await importPeer<SmtpConnectionModule>(
    "nodemailer/lib/smtp-connection",
  );
  const connection = new SmtpConnection({
    host: job.host,
    port: job.port,
    name: CLIENT_NAME,
    secure: job.security === "tls",
    requireTLS: job.security === "starttls",
    ignoreTLS: job.security === "none",
    ...(job.ca !== undefined && { tls: { ca: [job.ca], servername: "localhost" } }),
  });
  const settled = (begin: (done: Done) => void) =>
    new Promise<void>((resolve, reject) => begin((error) => error ? reject(error) : resolve()));
  connection.on("error", (error) => {
    throw error;
  });
  await settled((done) => connection.connect(done));
  if (job.user !== undefined) {
    const credentials = { user: job.user, pass: job.pass };
    const method = job.mechanism;
    await settled((done) => connection.login({ credentials, ...(method !== undefined && { method }) }, done));
  }
  const envelope = { from: FROM, to: [TO] };
  const raw = Buffer.from(job.message.buffer);
  return {
    async run(more) {
      while (more()) {
        const message = job.streamed ? Readable.from(job.pieces()) : raw;
        await settled((done) => connection.send(envelope, message, done));
      }
    },
    close() {
      connection.quit();
      return Promise.resolve();
    },
  };
}

await measure(open);
