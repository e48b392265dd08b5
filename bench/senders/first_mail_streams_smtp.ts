/**
 * Sends the first mail of a program that has just started, with this library.
 *
 * @module
 */
import { sendMail } from "../../mod.ts";
import { readFirstMail } from "./first_mail.ts";

const { port, user, pass, from, to, text } = readFirstMail();
await sendMail(
  {
    hostname: "localhost",
    port,
    security: "starttls",
    auth: { user, pass },
    clientName: "client.example.com",
  },
  { from, to },
  text,
);
