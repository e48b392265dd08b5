/**
 * Sends with this library's pool: many `send()` calls at the same time, over up to `--connections` connections.
 *
 * @module
 */
import { SmtpPool } from "../../mod.ts";
import { FROM, inParallel, type Job, measure, type Outbox, TO } from "./sender.ts";
import { clientOptions } from "./streams_smtp_options.ts";

function open(job: Job): Promise<Outbox> {
  const pool = new SmtpPool({ ...clientOptions(job), maxConnections: job.connections });
  const envelope = { from: FROM, to: TO };
  const message = () => job.streamed ? job.stream() : job.message;
  return Promise.resolve({
    run: (more) => inParallel(job.window, more, () => pool.send(envelope, message())),
    close: () => pool.close(),
  });
}

await measure(open);
