/**
 * Sends with this library: many `send()` calls at the same time.
 *
 * With `--connections N`, N clients share the work, each with its part of the window, like the simplest possible pool.
 *
 * @module
 */
import { sendMail, SmtpClient } from "../../mod.ts";
import { FROM, inParallel, type Job, measure, type Outbox, TO } from "./sender.ts";
import { clientOptions } from "./streams_smtp_options.ts";

async function open(job: Job): Promise<Outbox> {
  const clients = await Promise.all(
    Array.from({ length: job.connections }, () => SmtpClient.connect(clientOptions(job))),
  );
  const width = Math.max(1, Math.floor(job.window / job.connections));
  const envelope = { from: FROM, to: TO };
  const message = () => job.streamed ? job.stream() : job.message;
  return {
    async run(more) {
      await Promise.all(
        clients.map((client) => inParallel(width, more, () => client.send(envelope, message()))),
      );
    },
    async close() {
      await Promise.all(clients.map((client) => client.quit()));
    },
  };
}

await measure(open, (job) => sendMail(clientOptions(job), { from: FROM, to: TO }, job.message));
