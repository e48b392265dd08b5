/**
 * The order of commands: which one is allowed in which state.
 *
 * The rules: a session is in exactly one of the states below. Each command has a row; a row has, for each state, either
 * `undefined`, and the command is carried out, or the reply that refuses it. Only a command that is carried out moves the
 * session to another state, and `SessionMachine` does that. Nothing else decides on the order of commands.
 *
 * @module
 */
import type { Command } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import * as replies from "./replies.ts";

/**
 * The state of a session.
 *
 * - `"start"`: the server has sent its greeting, or TLS has just begun; no EHLO yet.
 * - `"ready"`: EHLO or HELO is done, no transaction is open.
 * - `"refused"`: the last MAIL was refused. Commands that the client pipelined after it are refused too, and are not its
 *   fault.
 * - `"mail"`: MAIL was accepted, no recipient yet.
 * - `"rcpt"`: at least one recipient was accepted.
 * - `"unserved"`: the greeting was 554 (RFC 5321, section 3.1).
 */
export type MachineState = "start" | "ready" | "refused" | "mail" | "rcpt" | "unserved";

type Row = Readonly<Record<MachineState, Reply | undefined>>;

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

/** A row for each command. */
export const SEQUENCE: Readonly<Record<Command["verb"], Row>> = {
  // In this order: start, ready, refused, mail, rcpt. In "unserved" only QUIT is allowed.
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
