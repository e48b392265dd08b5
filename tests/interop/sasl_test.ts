import { assert, assertEquals } from "@std/assert";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { formatTrace, SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions } from "../../mod.ts";
import type { Auth } from "../../src/client/options.ts";
import type { SmtpError } from "../../src/errors.ts";
import { createAuthority } from "../support/certificates.ts";
import { dovecotSaslMissing, signToken, startDovecotSasl } from "../support/dovecot_sasl.ts";
import { eximMissing, HASHED_USER, startExim } from "../support/exim.ts";
import { test } from "../support/harness.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { startSaslauthd } from "../support/saslauthd.ts";

/** Logs in, and returns the mechanism's name. No line of the trace shows a secret. */
async function logIn(options: SmtpClientOptions, auth: Auth, ...secrets: string[]): Promise<string> {
  const lines: string[] = [];
  let mechanism = "";
  const trace: SmtpClientOptions["trace"] = (event) => {
    lines.push(formatTrace(event), inspect(event, { depth: 9 }));
    if (event.type === "state" && event.state === "authenticated") mechanism = event.detail;
  };
  try {
    await using client = await SmtpClient.connect({ ...options, auth, trace });
    assert(client.authenticated);
    assertEquals((await client.noop()).code, 250);
  } finally {
    for (const secret of secrets) {
      for (const form of [secret, btoa(secret)]) {
        assert(!lines.some((line) => line.includes(form)), `The trace shows ${form}:\n${lines.join("\n")}`);
      }
    }
  }
  return mechanism;
}

async function isRefused(options: SmtpClientOptions, auth: Auth, ...secrets: string[]): Promise<SmtpError> {
  const error = await rejectsWith("auth-failed", () => logIn(options, auth, ...secrets));
  for (const secret of secrets) assert(!inspect(error, { depth: 9, showHidden: true }).includes(secret));
  assertEquals(error.reply?.code, 535);
  return error;
}

const WITH_PASSWORD = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"];

test("Postfix: every mechanism logs in with the right password and not with a wrong one", {
  skip: postfixMissing(),
  timeout: 120_000,
}, async () => {
  await using postfix = await startPostfix();
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: postfix.requiredTlsPort,
    tls: { caCerts: [postfix.ca] },
    clientName: "client.test",
  };
  const { user, pass } = postfix;
  assertEquals(await logIn(options, { user, pass }, pass), "SCRAM-SHA-512");
  for (const name of ["SCRAM-SHA-512", ...WITH_PASSWORD]) {
    const mechanisms = [name];
    assertEquals(await logIn(options, { user, pass, mechanisms }, pass), name);
    const error = await isRefused(options, { user, pass: "quite-wrong", mechanisms }, "quite-wrong");
    assertEquals([error.command, error.enhancedCode], [`AUTH ${name}`, "5.7.8"]);
  }
});

test(
  "Postfix: ANONYMOUS logs in where it is on offer",
  { skip: postfixMissing(), timeout: 60_000 },
  async () => {
    await using postfix = await startPostfix("smtpd_sasl_security_options =\n");
    const options: SmtpClientOptions = {
      hostname: "localhost",
      port: postfix.requiredTlsPort,
      tls: { caCerts: [postfix.ca] },
    };
    assertEquals(await logIn(options, { anonymous: "guest@example.com" }), "ANONYMOUS");
  },
);

test("Exim: EXTERNAL logs in with a client's certificate, and not without", {
  skip: eximMissing(),
  timeout: 60_000,
}, async () => {
  const authority = await createAuthority();
  const folder = mkdtempSync(join(tmpdir(), "smtp-external-"));
  try {
    const file = join(folder, "clients.pem");
    writeFileSync(file, authority.cert);
    chmodSync(folder, 0o755); // Exim reads it as nobody
    await using exim = await startExim(10, `tls_verify_certificates = ${file}\ntls_try_verify_hosts = *\n`);
    const options: SmtpClientOptions = {
      hostname: "localhost",
      port: exim.ports[0]!,
      tls: { caCerts: [exim.ca] },
    };
    const { cert, key } = await authority.issue({ usage: "client" });
    const withCertificate = { ...options, tls: { ...options.tls, cert, key } };
    assertEquals(await logIn(withCertificate, { external: true }), "EXTERNAL");
    await rejectsWith("auth-unsupported", () => logIn(options, { external: true }));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("Dovecot: every mechanism logs in with the right credentials and not with wrong ones", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 120_000,
}, async () => {
  await using postfix = await startPostfix();
  await using dovecot = await startDovecotSasl(postfix.submissionPort);
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: dovecot.ports[0]!,
    tls: { caCerts: [dovecot.ca] },
    clientName: "client.test",
  };
  const { user, pass } = dovecot;
  assertEquals(await logIn(options, { user, pass }, pass), "SCRAM-SHA-256");
  assertEquals(await logIn(options, { user: "jürgen, =2C", pass }, pass), "SCRAM-SHA-256");
  for (const name of WITH_PASSWORD) {
    const mechanisms = [name];
    assertEquals(await logIn(options, { user, pass, mechanisms }, pass), name);
    const error = await isRefused(options, { user, pass: "quite-wrong", mechanisms }, "quite-wrong");
    assertEquals(error.command, `AUTH ${name}`);
  }

  const good = await signToken(user, 3600);
  assertEquals(await logIn(options, { user, accessToken: good }, good), "OAUTHBEARER");
  for (const name of ["OAUTHBEARER", "XOAUTH2"]) {
    const mechanisms = [name];
    assertEquals(await logIn(options, { user, accessToken: good, mechanisms }, good), name);
    const expired = await signToken(user, -60);
    const forged = await signToken(user, 3600, "another-key");
    for (const accessToken of [expired, forged]) {
      const error = await isRefused(options, { user, accessToken, mechanisms }, accessToken);
      assert(error.message.includes("(status "), error.message);
    }
    // The token source learns that a token was refused: it makes another, which is accepted.
    const accessToken = (refused?: string) => refused === undefined ? expired : good;
    assertEquals(await logIn(options, { user, accessToken, mechanisms }, expired, good), name);
  }
});

/** Waits for the words in a server's log, which it writes after the client has got its error. */
async function logged(log: () => string, words: RegExp): Promise<string> {
  for (;;) {
    const found = log().match(words);
    if (found !== null) return found[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("Postfix with Cyrus SASL: a user of whom it has no secret logs in with PLAIN after SCRAM, once", {
  skip: postfixMissing(),
  timeout: 60_000,
}, async () => {
  const user = "hashed@mx.test";
  const pass = "only-elsewhere";
  await using saslauthd = await startSaslauthd(user, pass);
  await using postfix = await startPostfix("", saslauthd.path);
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: postfix.requiredTlsPort,
    tls: { caCerts: [postfix.ca] },
    clientName: "client.test",
  };
  assertEquals(await logIn(options, { user, pass }, pass), "PLAIN");
  const clear: SmtpClientOptions = { hostname: "localhost", port: postfix.submissionPort, security: "none" };
  const cram = { user, pass, mechanisms: ["CRAM-MD5", "LOGIN"] };
  assertEquals(await logIn(clear, cram, pass), "LOGIN");

  const before = saslauthd.asked.length;
  const wrong = await isRefused(options, { user, pass: "quite-wrong" }, "quite-wrong");
  assertEquals(wrong.attempts.map(({ mechanism, reply }) => [mechanism, reply.code]), [
    ["SCRAM-SHA-512", 535],
    ["PLAIN", 535],
  ]);
  assertEquals(saslauthd.asked.length - before, 1);
  // Postfix counts the commands of a session: it was left with QUIT.
  await logged(postfix.log, /disconnect from localhost\S* ehlo=2 starttls=1 auth=0\/2 quit=1/);

  const unverified = { ...options, tls: { verify: false } };
  const refused = await isRefused(unverified, { user, pass }, pass);
  assertEquals(refused.attempts.map(({ mechanism }) => mechanism), ["SCRAM-SHA-512"]);
  await isRefused(options, { user, pass, mechanisms: ["SCRAM-SHA-256", "CRAM-MD5"] }, pass);
});

test("Dovecot: a user whose password it keeps hashed logs in with PLAIN after SCRAM, once", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 60_000,
}, async () => {
  await using postfix = await startPostfix();
  await using dovecot = await startDovecotSasl(postfix.submissionPort, undefined, "hashed");
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: dovecot.ports[0]!,
    tls: { caCerts: [dovecot.ca] },
    clientName: "client.test",
  };
  const { user, pass } = dovecot;
  assertEquals(await logIn(options, { user, pass }, pass), "PLAIN");
  const wrong = await isRefused(options, { user, pass: "quite-wrong" }, "quite-wrong");
  assertEquals(wrong.attempts.map(({ mechanism, reply }) => [mechanism, reply.code]), [
    ["SCRAM-SHA-256", 535],
    ["PLAIN", 535],
  ]);
  await isRefused(options, { user, pass, mechanisms: ["SCRAM-SHA-256"] }, pass);
});

test("Dovecot: a token of 2,000 characters logs in, which the AUTH command cannot carry", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 60_000,
}, async () => {
  await using postfix = await startPostfix();
  await using dovecot = await startDovecotSasl(postfix.submissionPort);
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: dovecot.ports[0]!,
    tls: { caCerts: [dovecot.ca] },
    clientName: "client.test",
  };
  const accessToken = await signToken(dovecot.user, 3600, undefined, "x".repeat(1_500));
  assert(accessToken.length > 2_000);
  for (const name of ["OAUTHBEARER", "XOAUTH2"]) {
    const auth = { user: dovecot.user, accessToken, mechanisms: [name] };
    assertEquals(await logIn(options, auth, accessToken), name);
  }
});

test("Exim: PLAIN comes before CRAM-MD5 under TLS, and after it where CRAM-MD5 is refused in the clear", {
  skip: eximMissing(),
  timeout: 60_000,
}, async () => {
  await using exim = await startExim(10);
  const { pass } = exim;
  const options: SmtpClientOptions = {
    hostname: "localhost",
    port: exim.ports[0]!,
    tls: { caCerts: [exim.ca] },
    clientName: "client.test",
  };
  assertEquals(await logIn(options, { user: exim.user, pass }, pass), "PLAIN");
  const clear: SmtpClientOptions = {
    hostname: "localhost",
    port: exim.ports[0]!,
    security: "none",
    clientName: "client.test",
  };
  assertEquals(await logIn(clear, { user: exim.user, pass }, pass), "CRAM-MD5");
  assertEquals(await logIn(clear, { user: HASHED_USER, pass }, pass), "PLAIN");
  await rejectsWith("auth-failed", () => logIn(clear, { user: HASHED_USER, pass: "quite-wrong" }));
});
