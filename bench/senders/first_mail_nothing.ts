/**
 * What the runtime takes by itself.
 *
 * @module
 */
import { readFirstMail } from "./first_mail.ts";

readFirstMail();
