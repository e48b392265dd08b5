// A plugin of Haraka that refuses `reject@...` and writes each message to a file of RECORD_FOLDER/mail.
const { createWriteStream, renameSync } = require("node:fs");
const { join } = require("node:path");
const process = require("node:process");

const folder = process.env.RECORD_FOLDER;
let count = 0;

// Haraka writes its replies to a group of commands one by one, and waits for the client's system to acknowledge the first:
// some 40 ms for each message.
exports.hook_connect = (next, connection) => {
  connection.client.targetsocket.setNoDelay(true);
  next();
};

exports.hook_rcpt = (next, _connection, [recipient]) => {
  if (recipient.address.startsWith("reject@")) next(DENY, "no such user");
  else next();
};

// Mail of somebody who has logged in goes to the second hook.
exports.hook_queue = exports.hook_queue_outbound = (next, connection) => {
  const { transaction } = connection;
  const name = `${++count}`;
  // Under its own name only when it is whole.
  const part = join(folder, `part-${name}`);
  const file = createWriteStream(part);
  const recipients = transaction.rcpt_to.map((recipient) => recipient.address);
  file.write(`Return-Path: <${transaction.mail_from.address ?? ""}>\nX-Original-To: ${recipients}\n`);
  file.once("close", () => {
    renameSync(part, join(folder, "mail", name));
    next(OK, `queued as ${name}`);
  });
  transaction.message_stream.pipe(file, { line_endings: "\r\n" });
};
