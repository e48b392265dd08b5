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
import { eximMissing, startExim } from "../support/exim.ts";
import { test } from "../support/harness.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";

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
