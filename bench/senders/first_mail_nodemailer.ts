/**
 * Sends the first mail of a program that has just started, with nodemailer.
 *
 * @module
 */
import { readFirstMail } from "./first_mail.ts";
import { importPeer } from "./import_peer.ts";

interface Nodemailer {
  default: {
    createTransport(
      options: Record<string, unknown>,
    ): { sendMail(mail: Record<string, unknown>): Promise<unknown> };
  };
}

const { default: nodemailer } = await importPeer<Nodemailer>("nodemailer");
const { port, user, pass, from, to, text } = readFirstMail();
const transport = nodemailer.createTransport({
  host: "localhost",
  port,
  secure: false,
  requireTLS: true,
  auth: { user, pass },
  name: "client.example.com",
});
await transport.sendMail({ envelope: { from, to: [to] }, raw: text });
