import { assertEquals } from "@std/assert";
import { Reply } from "../../src/core/reply.ts";
import { AuthAttempt } from "../../src/server/auth.ts";
import { type AuthCredentials, type ServerHandlers, serveSocket } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { test } from "../support/harness.ts";
import { assertTranscript, Peer } from "./transcript.ts";

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
    S: 501 5.5.2 Response is malformed, or has a control character
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

/** What a client may not say in a name or a password. NUL inside also separates, see below. */
const FORBIDDEN = [
  "\0",
  "\r",
  "\n",
  "\r\nRSET",
  "\t",
  "\x1b[2J",
  "\x7f",
  "\x85",
  "\u2028",
  "\u202e",
  "\u2066",
  "\u200f",
];

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** Handlers that let everybody in, and what they were asked. */
function openDoor(): { handlers: ServerHandlers; seen: AuthCredentials[] } {
  const seen: AuthCredentials[] = [];
  return { handlers: { auth: (credentials) => seen.push(credentials) > 0 }, seen };
}

const MALFORMED = "S: 501 5.5.2 Response is malformed, or has a control character";

test("AUTH refuses control characters in names and passwords before the handler sees them, whatever the mechanism", async () => {
  for (const bad of FORBIDDEN) {
    const { handlers, seen } = openDoor();
    for (
      const message of [
        `\0t${bad}im\0secret`,
        `\0tim\0sec${bad}ret`,
        `\0tim\0${bad}`,
        `t${bad}im\0tim\0secret`,
      ]
    ) {
      await assertTranscript(
        `${GREETED}
        C: AUTH PLAIN ${base64(message)}
        ${MALFORMED}
        C: AUTH PLAIN
        S: 334 ${"" /* the blank before belongs to the reply */}
        C: ${base64(message)}
        ${MALFORMED}
      `,
        { handlers, options, cuts: ["whole"] },
      );
    }
    await assertTranscript(
      `${GREETED}
      C: AUTH LOGIN ${base64(`t${bad}im`)}
      ${MALFORMED}
      C: AUTH LOGIN
      S: 334 VXNlcm5hbWU6
      C: ${base64(`t${bad}im`)}
      ${MALFORMED}
      C: AUTH LOGIN ${base64("tim")}
      S: 334 UGFzc3dvcmQ6
      C: ${base64(`sec${bad}ret`)}
      ${MALFORMED}
    `,
      { handlers, options, cuts: ["whole"] },
    );
    assertEquals(seen, [], JSON.stringify(bad));
  }
});

test("AUTH takes names and passwords beyond ASCII", async () => {
  const { handlers, seen } = openDoor();
  await assertTranscript(
    `${GREETED}
    C: AUTH PLAIN ${base64("\0j\u00fcrgen\0p\u00e4ss w\u00f6rd \u05d0\ud83d\udd11")}
    S: 235 2.7.0 Authentication successful
  `,
    { handlers, options, cuts: ["whole"] },
  );
  assertEquals(seen, [{ mechanism: "PLAIN", user: "jürgen", pass: "päss wörd \u05d0\ud83d\udd11" }]);
});

test("AUTH refuses base64 that is not canonical before the handler sees it, in each place", async () => {
  // "\0tim\0se" is AHRpbQBzZQ==, "tim" is dGlt, "tims" is dGltcw==.
  const spellings = (canonical: string, bits: string) => [
    canonical.replace(/=+$/, ""), // no padding
    canonical.replace("==", "="), // too little
    `${canonical}=`, // too much
    `${canonical}====`,
    bits, // bits that no byte takes
    `${canonical.slice(0, 2)} ${canonical.slice(2)}`, // white space
    `${canonical.slice(0, 2)}\t\t\t\t${canonical.slice(2)}`,
    `-${canonical.slice(1)}`, // the alphabet of URLs
    `_${canonical.slice(1)}`,
    `${canonical}${canonical}`, // padding inside
  ];
  const { handlers, seen } = openDoor();
  for (const response of spellings("AHRpbQBzZQ==", "AHRpbQBzZR==")) {
    assertEquals(new AuthAttempt("PLAIN").step(response).kind, "refusal", response);
    for (const [first, asked] of [[`AUTH PLAIN ${response}`, false], ["AUTH PLAIN", true]] as const) {
      const [client, server] = memorySocketPair();
      const served = serveSocket(server, options, handlers);
      const peer = new Peer(client);
      await peer.reply();
      await peer.ask("EHLO client.test");
      let reply = await peer.ask(first);
      if (asked) reply = await peer.ask(response);
      assertEquals(reply.slice(0, 3), "501", `${first}: ${response}`);
      await peer.close();
      await served;
    }
  }
  for (const response of spellings("dGltcw==", "dGltcx==")) {
    const { handlers, seen } = openDoor();
    const [client, server] = memorySocketPair();
    const served = serveSocket(server, options, handlers);
    const peer = new Peer(client);
    await peer.reply();
    await peer.ask("EHLO client.test");
    assertEquals((await peer.ask(`AUTH LOGIN ${response}`)).slice(0, 3), "501", `initial: ${response}`);
    await peer.ask("AUTH LOGIN");
    assertEquals((await peer.ask(response)).slice(0, 3), "501", `user: ${response}`);
    await peer.ask("AUTH LOGIN dGlt");
    assertEquals((await peer.ask(response)).slice(0, 3), "501", `password: ${response}`);
    await peer.close();
    await served;
    assertEquals(seen, []);
  }
  assertEquals(seen, []);
});

test('"=" is the empty response of the AUTH command alone', async () => {
  const { handlers, seen } = openDoor();
  await assertTranscript(
    `${GREETED}
    C: AUTH LOGIN ${base64("tim")}
    S: 334 UGFzc3dvcmQ6
    C: =
    S: 501 5.5.2 Response is not base64
    C: AUTH LOGIN ${base64("tim")}
    S: 334 UGFzc3dvcmQ6
    C: ${"" /* an empty line */}
    S: 235 2.7.0 Authentication successful
  `,
    { handlers, options, cuts: ["whole"] },
  );
  assertEquals(seen, [{ mechanism: "LOGIN", user: "tim", pass: "" }]);
});
