/**
 * Sends with nodemailer's pooled transport, which its documentation recommends for many messages, and always has a next
 * message ready.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { importPeer } from "./import_peer.ts";
import { AHEAD, CLIENT_NAME, FROM, inParallel, type Job, measure, type Outbox, TO } from "./sender.ts";

interface Transport {
  sendMail(mail: { envelope: { from: string; to: string[] }; raw: unknown }): Promise<unknown>;
  close(): void;
}

/** The part of nodemailer that is used here. */
interface Nodemailer {
  default: { createTransport(options: Record<string, unknown>): Transport };
}

/** Makes nodemailer's options for a job. */
function transportOptions(job: Job): Record<string, unknown> {
  return {
    host: job.host,
    port: job.port,
    name: CLIENT_NAME,
    secure: job.security === "tls",
    requireTLS: job.security === "starttls",
    ignoreTLS: job.security === "none",
    ...(job.ca !== undefined && { tls: { ca: [job.ca], servername: "localhost" } }),
    ...(job.user !== undefined && { auth: { user: job.user, pass: job.pass } }),
    ...(job.mechanism !== undefined && { authMethod: job.mechanism }),
  };
}

async function open(job: Job): Promise<Outbox> {
  const { default: nodemailer } = await importPeer<Nodemailer>("nodemailer");
  const transport = nodemailer.createTransport({
    ...transportOptions(job),
    pool: true,
    maxConnections: job.connections,
    maxMessages: Infinity,
  });
  const envelope = { from: FROM, to: [TO] };
  const raw = Buffer.from(job.message.buffer);
  return {
    run: (more) =>
      inParallel(
        AHEAD * job.connections,
        more,
        () => transport.sendMail({ envelope, raw: job.streamed ? Readable.from(job.pieces()) : raw }),
      ),
    close() {
      transport.close();
      return Promise.resolve();
    },
  };
}

/** Its transport without a pool, which its documentation shows first. */
async function sendFirst(job: Job): Promise<void> {
  const { default: nodemailer } = await importPeer<Nodemailer>("nodemailer");
  const raw = Buffer.from(job.message.buffer);
  await nodemailer.createTransport(transportOptions(job)).sendMail({
    envelope: { from: FROM, to: [TO] },
    raw,
  });
}

await measure(open, sendFirst);
