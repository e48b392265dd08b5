/**
 * Shared by the senders of this library.
 *
 * @module
 */
import type { SmtpClientOptions } from "../../mod.ts";
import { CLIENT_NAME, type Job } from "./sender.ts";

/** Makes the library's options for a job. */
export function clientOptions(job: Job): SmtpClientOptions {
  return {
    hostname: job.host,
    port: job.port,
    security: job.security as "none" | "starttls" | "tls",
    clientName: CLIENT_NAME,
    transfer: job.transfer,
    ...(job.ca !== undefined && { tls: { caCerts: [job.ca], serverName: "localhost" } }),
    ...(job.user !== undefined &&
      {
        auth: {
          user: job.user,
          pass: job.pass!,
          ...(job.mechanism !== undefined && { mechanisms: [job.mechanism] }),
        },
      }),
  };
}
