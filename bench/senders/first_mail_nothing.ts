/**
 * Does nothing: shows how long the runtime itself takes.
 *
 * @module
 */
import { readFirstMail } from "./first_mail.ts";

readFirstMail();
