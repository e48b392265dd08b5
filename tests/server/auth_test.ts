import { assertEquals } from "@std/assert";
import { Reply } from "../../src/core/reply.ts";
import { AuthAttempt } from "../../src/server/auth.ts";
import type { AuthCredentials, ServerHandlers } from "../../src/server/mod.ts";
import { test } from "../support/harness.ts";
import { assertTranscript } from "./transcript.ts";

const handlers: ServerHandlers = {
  auth: ({ user, pass }) => user === "tim" && pass === "tanstaaftanstaaf",
};
const options = { allowInsecureAuth: true };

const GREETED = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250-8BITMIME
  S: 250-SMTPUTF8
  S: 250-ENHANCEDSTATUSCODES
  S: 250-SIZE 33554432
  S: 250 AUTH PLAIN LOGIN
`;
const PLAIN = btoa("\0tim\0tanstaaftanstaaf");

test("AUTH PLAIN lets a user in, with the initial response and without", async () => {
  await assertTranscript(
    `${GREETED}
    C: AUTH PLAIN ${PLAIN}
    S: 235 2.7.0 Authentication successful
    C: AUTH PLAIN ${PLAIN}
    S: 503 5.5.1 Already authenticated
  `,
    { handlers, options },
  );
  await assertTranscript(
    `${GREETED}
    C: auth plain
    S: 334 ${"" /* the blank before belongs to the reply */}
    C: ${PLAIN}
    S: 235 2.7.0 Authentication successful
  `,
    { handlers, options },
  );
});

test("AUTH LOGIN lets a user in, with the initial response and without", async () => {
  await assertTranscript(
    `${GREETED}
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: ${btoa("tim")}
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("tanstaaftanstaaf")}
    S: 235 2.7.0 Authentication successful
  `,
    { handlers, options },
  );
  await assertTranscript(
    `${GREETED}
    C: AUTH LOGIN ${btoa("tim")}
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("wrong")}
    S: 535 5.7.8 Authentication credentials invalid
    C: AUTH LOGIN =
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("tanstaaftanstaaf")}
    S: 535 5.7.8 Authentication credentials invalid
  `,
    { handlers, options },
  );
});

test("AUTH can be cancelled, and what is malformed or too long is refused", async () => {
  await assertTranscript(
    `${GREETED}
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: *
    S: 501 5.7.0 Authentication cancelled
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: not base64!
    S: 501 5.5.2 Response is not base64
    C: AUTH PLAIN AGE=
    S: 501 5.5.2 Response is not base64
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: ${"A".repeat(3000)}
    S: 500 5.5.6 Authentication line is too long
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: dXNlcg==\\nRSET
    S: 500 5.5.2 Line does not end with CR LF
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: dXNlcg==\\rRSET
    S: 501 5.5.2 Response is not base64
    C: AUTH PLAIN AGFkYQBvcGVuIHNlc2FtZQ==\\nRSET
    S: 500 5.5.2 Line does not end with CR LF
    C: AUTH PLAIN AGFkYQBvcGVuIHNlc2FtZQ==\\r
    S: 500 5.5.2 A control character has no place in a command
    C: AUTH CRAM-MD5
    S: 504 5.5.4 Authentication mechanism not implemented
    C: NOOP
    S: 250 2.0.0 Ok
  `,
    { handlers, options },
  );
});

test("AUTH is neither offered nor taken in the clear, and not without EHLO", async () => {
  await assertTranscript(
    `${GREETED.replace("S: 250 AUTH PLAIN LOGIN", "").replace("250-SIZE", "250 SIZE")}
    C: AUTH PLAIN ${PLAIN}
    S: 538 5.7.11 Encryption required for authentication
  `,
    { handlers },
  );
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: HELO client.test
    S: 250 mx.test
    C: AUTH PLAIN ${PLAIN}
    S: 503 5.5.1 Send EHLO, not HELO, first
  `,
    { handlers, options },
  );
  await assertTranscript(
    `
    S: 220 mx.test ESMTP
    C: EHLO client.test
    S: 250-mx.test
    S: 250-PIPELINING
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SIZE 33554432
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    (tls)
    ${GREETED.replace("S: 220 mx.test ESMTP", "")}
    C: AUTH PLAIN ${PLAIN}
    S: 235 2.7.0 Authentication successful
  `,
    { handlers, secureTransport: "starttls" },
  );
});

test("AUTH is not part of a mail transaction, and its parameter of MAIL is taken and ignored", async () => {
  await assertTranscript(
    `${GREETED}
    C: MAIL FROM:<a@example.com> AUTH=b+40example.com
    C: AUTH PLAIN ${PLAIN}
    S: 250 2.1.0 Sender ok
    S: 503 5.5.1 Not during a mail transaction
  `,
    { handlers, options },
  );
});

test("The AUTH parameter of MAIL is checked as an address in xtext", async () => {
  const wrong = ["b+4", "b+", "b+4g", "b+4Cx+zz", "b+2b", "a+0D+0AEVIL", "a+00", "a+7F", "bücher+40x"];
  for (const value of wrong) {
    await assertTranscript(
      `${GREETED}
      C: MAIL FROM:<a@example.com> AUTH=${value}
      S: 501 5.5.4 AUTH is not an address in xtext
    `,
      { handlers, options, cuts: ["whole"] },
    );
  }
  for (const value of ["AUTH", "AUTH=", "AUTH=a=b"]) {
    await assertTranscript(
      `${GREETED}
      C: MAIL FROM:<a@example.com> ${value}
      S: 501 5.5.4 ${value === "AUTH" ? "AUTH is not an address in xtext" : "Bad parameter syntax"}
    `,
      { handlers, options, cuts: ["whole"] },
    );
  }
  for (
    const value of ["<>", "e+3Dmc2@example.com", "b@example.com", "+22a+20b+22+40example.com", "a+2Bb@c"]
  ) {
    await assertTranscript(
      `${GREETED}
      C: MAIL FROM:<a@example.com> AUTH=${value}
      S: 250 2.1.0 Sender ok
    `,
      { handlers, options, cuts: ["whole"] },
    );
  }
});

test("requireAuth refuses mail before AUTH, and patience ends", async () => {
  await assertTranscript(
    `${GREETED}
    C: MAIL FROM:<a@example.com>
    C: RCPT TO:<b@example.org>
    C: VRFY a
    S: 530 5.7.0 Authentication required
    S: 503 5.5.1 Send MAIL first
    S: 530 5.7.0 Authentication required
    C: AUTH PLAIN ${PLAIN}
    C: MAIL FROM:<a@example.com>
    S: 235 2.7.0 Authentication successful
    S: 250 2.1.0 Sender ok
  `,
    { handlers, options: { ...options, requireAuth: true } },
  );
  await assertTranscript(
    `${GREETED}
    C: NOOP
    C: NOOP
    C: NOOP
    S: 250 2.0.0 Ok
    S: 250 2.0.0 Ok
    S: 421 4.7.0 Too many commands without authentication
    (end)
  `,
    { handlers, options: { ...options, requireAuth: true, maxUnauthenticatedCommands: 3 } },
  );
});

test("failed attempts to authenticate end the session", async () => {
  await assertTranscript(
    `${GREETED}
    C: AUTH PLAIN ${btoa("\0tim\0guess1")}
    C: AUTH PLAIN ${btoa("\0tim\0guess2")}
    S: 535 5.7.8 Authentication credentials invalid
    S: 535 5.7.8 Authentication credentials invalid
    S: 421 4.7.0 Too many errors
    (end)
  `,
    { handlers, options: { ...options, maxErrors: 2 } },
  );
});

test("the auth handler lets in with true or a 2xx alone", async () => {
  const verdicts: [unknown, string][] = [
    [true, "235 2.7.0 Authentication successful"],
    [new Reply(235, "Welcome", { enhancedCode: "2.7.0" }), "235 2.7.0 Welcome"],
    [false, "535 5.7.8 Authentication credentials invalid"],
    [undefined, "535 5.7.8 Authentication credentials invalid"],
    [new Reply(454, "Try later", { enhancedCode: "4.7.0" }), "454 4.7.0 Try later"],
    [{ user: "tim" }, "451 4.3.0 Local error in processing"],
    [1, "451 4.3.0 Local error in processing"],
  ];
  for (const [verdict, reply] of verdicts) {
    for (const value of [verdict, Promise.resolve(verdict)]) {
      await assertTranscript(
        `${GREETED}
        C: AUTH PLAIN ${PLAIN}
        S: ${reply}
      `,
        { handlers: { auth: () => value as boolean }, options: { ...options, onError: () => {} } },
      );
    }
  }
});

test("session.user is who was authenticated, until TLS begins anew", async () => {
  const users: (string | undefined)[] = [];
  await assertTranscript(
    `${GREETED.replace("S: 250 AUTH", "S: 250-STARTTLS\n S: 250 AUTH")}
    C: AUTH PLAIN ${PLAIN}
    C: MAIL FROM:<a@example.com>
    C: RSET
    S: 235 2.7.0 Authentication successful
    S: 250 2.1.0 Sender ok
    S: 250 2.0.0 Ok
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    (tls)
    ${GREETED.replace("S: 220 mx.test ESMTP", "")}
    C: MAIL FROM:<a@example.com>
    S: 250 2.1.0 Sender ok
  `,
    {
      handlers: { ...handlers, mail: (_, { user }) => void users.push(user) },
      options,
      secureTransport: "starttls",
      cuts: ["whole"],
    },
  );
  assertEquals(users, ["tim", undefined]);
});

test("AuthAttempt reads PLAIN as in RFC 4616", () => {
  const step = (text: string) => new AuthAttempt("PLAIN").step(btoa(text));
  const credentials = (user: string, pass: string): AuthCredentials => ({ mechanism: "PLAIN", user, pass });
  assertEquals(step("\0tim\0secret"), { kind: "credentials", credentials: credentials("tim", "secret") });
  assertEquals(step("tim\0tim\0secret"), { kind: "credentials", credentials: credentials("tim", "secret") });
  assertEquals(step("\0tim\0"), { kind: "credentials", credentials: credentials("tim", "") });
  for (
    const text of ["ursel\0kurt\0secret", "\0\0secret", "tim\0secret", "\0tim\0sec\0ret", "", "\0tim\0\xff"]
  ) {
    assertEquals(step(text).kind, "refusal", JSON.stringify(text));
  }
  assertEquals(new AuthAttempt("PLAIN").step("=").kind, "refusal");
  assertEquals(new AuthAttempt("PLAIN").step("AHRp bQBz").kind, "refusal");
  assertEquals(new AuthAttempt("PLAIN").step("AHRpbQB").kind, "refusal");
});
