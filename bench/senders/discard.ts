/**
 * Sends nothing: makes the message and throws it away, to show how much memory the source needs.
 *
 * @module
 */
import { type Job, measure, type Outbox } from "./sender.ts";

function open(job: Job): Promise<Outbox> {
  return Promise.resolve({
    async run(more) {
      while (more()) {
        for (const reader = job.stream().getReader(); !(await reader.read()).done;);
      }
    },
    close: () => Promise.resolve(),
  });
}

await measure(open);
