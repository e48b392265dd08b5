// node smtp_server_main.cjs SETTINGS: takes mail and writes each message to a file of `folder`/mail, and its
// envelope to `folder`/envelopes, a line of JSON each.
const { appendFileSync, createWriteStream, readFileSync, renameSync } = require("node:fs");
const { join } = require("node:path");
const process = require("node:process");

const { module: path, ports, certificate, key, folder, user, pass } = JSON.parse(process.argv[2]);
const { SMTPServer } = require(path);

let count = 0;

function refuse(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

function onAuth(auth, _session, callback) {
  const right = auth.method === "CRAM-MD5" ? auth.validatePassword(pass) : auth.password === pass;
  if (auth.username === user && right) callback(null, { user });
  else callback(new Error("Invalid username or password"));
}

function onRcptTo({ address }, _session, callback) {
  callback(address.startsWith("reject@") ? refuse(550, "no such user") : undefined);
}

function onData(stream, { envelope }, callback) {
  const name = `${++count}`;
  // It gets its name only when it is complete.
  const part = join(folder, `part-${name}`);
  const file = createWriteStream(part);
  appendFileSync(join(folder, "envelopes"), JSON.stringify(envelope) + "\n");
  const recipients = envelope.rcptTo.map(({ address }) => address);
  file.write(`Return-Path: <${envelope.mailFrom.address || ""}>\nX-Original-To: ${recipients}\n`);
  stream.pipe(file);
  file.once("close", () => {
    renameSync(part, join(folder, "mail", name));
    callback(null, `queued as ${name}`);
  });
}

ports.forEach((port, index) => {
  const server = new SMTPServer({
    secure: index === 1,
    name: "mx.test",
    key: readFileSync(key),
    cert: readFileSync(certificate),
    size: 209715200,
    authOptional: true,
    authMethods: ["PLAIN", "LOGIN", "CRAM-MD5"],
    disableReverseLookup: true,
    hideDSN: false,
    hideREQUIRETLS: false,
    hideENHANCEDSTATUSCODES: false,
    onAuth,
    onRcptTo,
    onData,
  });
  server.on("error", (error) => console.error(error));
  server.listen(port, "127.0.0.1");
});
