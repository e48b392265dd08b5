/**
 * Which command may come when.
 *
 * The rules: a session stands in exactly one of the states below. Each command has a row; each row has, for each
 * state, either `undefined`, and the command is carried out, or the reply that refuses it. Only what is carried out
 * moves the session to another state, and `ServerSession` does that. Nothing else decides on the order of commands.
 *
 * @module
 */
import type { Command } from "./command.ts";
import type { Reply } from "./reply.ts";
import * as replies from "./session_replies.ts";

/**
 * Where a session stands.
 *
 * - `"start"`: greeted by the server, or under TLS just now; no EHLO yet.
 * - `"ready"`: EHLO or HELO done, no transaction open.
 * - `"refused"`: the last MAIL was refused. What a client pipelined behind it is refused too, and is no error of its.
 * - `"mail"`: MAIL accepted, no recipient yet.
 * - `"rcpt"`: at least one recipient accepted.
 * - `"unserved"`: the greeting was 554 (RFC 5321, section 3.1).
 */
export type SessionState = "start" | "ready" | "refused" | "mail" | "rcpt" | "unserved";

type Row = Readonly<Record<SessionState, Reply | undefined>>;

function row(
  start: Reply | undefined,
  ready: Reply | undefined,
  refused: Reply | undefined,
  mail: Reply | undefined,
  rcpt: Reply | undefined,
): Row {
  return { start, ready, refused, mail, rcpt, unserved: replies.NOT_SERVED };
}

const OK = undefined;
const {
  GREET_FIRST,
  MAIL_FIRST,
  SENDER_GIVEN,
  IN_TRANSACTION,
  NO_RECIPIENTS,
  NOT_IMPLEMENTED,
  UNRECOGNIZED,
} = replies;

/** The rows. */
export const SEQUENCE: Readonly<Record<Command["verb"], Row>> = {
  // In this order: start, ready, refused, mail, rcpt. In "unserved" there is only QUIT.
  EHLO: row(OK, OK, OK, OK, OK),
  HELO: row(OK, OK, OK, OK, OK),
  STARTTLS: row(GREET_FIRST, OK, OK, IN_TRANSACTION, IN_TRANSACTION),
  AUTH: row(GREET_FIRST, OK, OK, IN_TRANSACTION, IN_TRANSACTION),
  MAIL: row(GREET_FIRST, OK, OK, SENDER_GIVEN, SENDER_GIVEN),
  RCPT: row(GREET_FIRST, MAIL_FIRST, MAIL_FIRST, OK, OK),
  DATA: row(GREET_FIRST, MAIL_FIRST, MAIL_FIRST, NO_RECIPIENTS, OK),
  RSET: row(OK, OK, OK, OK, OK),
  NOOP: row(OK, OK, OK, OK, OK),
  VRFY: row(OK, OK, OK, OK, OK),
  HELP: row(OK, OK, OK, OK, OK),
  QUIT: { ...row(OK, OK, OK, OK, OK), unserved: OK },
  EXPN: row(NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED),
  ETRN: row(NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED),
  BDAT: row(NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED, NOT_IMPLEMENTED),
  LHLO: row(UNRECOGNIZED, UNRECOGNIZED, UNRECOGNIZED, UNRECOGNIZED, UNRECOGNIZED),
};
