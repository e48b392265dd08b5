import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { formatTrace } from "../../src/trace.ts";
import type { TraceEvent } from "../../src/trace.ts";
import { hello } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const AUTH = { user: "user", pass: "s3cret-word" };
const QUIT = `
  C: QUIT
  S: 221 Bye
`;

/** A session with STARTTLS, and what is said under TLS. */
const underTls = (extension: string, rest: string) => `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-AUTH EVIL
  S: 250 STARTTLS
  C: STARTTLS
  S: 220 Go ahead
  S! tls
  C: EHLO client.test
  S: 250-mx.test
  S: 250 ${extension}
  ${rest}`;

async function run(
  transcript: string,
  options: SmtpClientOptions,
  body: (options: SmtpClientOptions) => Promise<void>,
): Promise<string> {
  const events: TraceEvent[] = [];
  const { socket, done } = replay(transcript);
  await body({ socket, clientName: "client.test", trace: (event) => events.push(event), ...options });
  await done;
  const trace = events.map(formatTrace).join("\n");
  for (const secret of [AUTH.pass, btoa(AUTH.pass), btoa(`\0${AUTH.user}\0${AUTH.pass}`)]) {
    assert(!trace.includes(secret), `The trace shows a secret:\n${trace}`);
  }
  return trace;
}

test("SmtpClient with auth goes over to TLS first, and forgets what it learnt in the clear", async () => {
  const trace = await run(
    underTls(
      "AUTH PLAIN LOGIN",
      `
    C: AUTH PLAIN ${btoa("\0user\0s3cret-word")}
    S: 235 2.7.0 Welcome
    ${QUIT}`,
    ),
    { auth: AUTH },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assertEquals(client.authenticated, true);
      assertEquals(client.secure, true);
      assertEquals(client.extensions.auth, ["PLAIN", "LOGIN"]);
      assertEquals(client.extensions.startTls, false);
    },
  );
  assertStringIncludes(trace, "C: AUTH PLAIN ********");
  assertStringIncludes(trace, "*  authenticated: PLAIN");
});

test("SmtpClient says PLAIN without an initial response when told to", () =>
  run(
    underTls(
      "AUTH=PLAIN",
      `
    C: AUTH PLAIN
    S: 334 
    C: ${btoa("\0user\0s3cret-word")}
    S: 235 Welcome
    ${QUIT}`,
    ),
    { auth: { ...AUTH, initialResponse: false } },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assert(client.authenticated);
    },
  ).then(() => {}));

test("SmtpClient says LOGIN where the server has nothing better", () =>
  run(
    underTls(
      "AUTH LOGIN GSSAPI",
      `
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: ${btoa("user")}
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("s3cret-word")}
    S: 235 Welcome
    ${QUIT}`,
    ),
    { auth: AUTH },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assert(client.authenticated);
    },
  ).then(() => {}));

test("SmtpClient tries the next mechanism when one is not supported after all", () =>
  run(
    underTls(
      "AUTH PLAIN LOGIN",
      `
    C: AUTH PLAIN ${btoa("\0user\0s3cret-word")}
    S: 504 5.5.4 Unrecognized authentication type
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: ${btoa("user")}
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("s3cret-word")}
    S: 235 Welcome
    ${QUIT}`,
    ),
    { auth: AUTH },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assert(client.authenticated);
    },
  ).then(() => {}));

test("SmtpClient does not try refused credentials with another mechanism", () =>
  run(
    underTls(
      "AUTH PLAIN LOGIN",
      `
    C: AUTH PLAIN ${btoa("\0user\0s3cret-word")}
    S: 535 5.7.8 Bad credentials
    ${QUIT}`,
    ),
    { auth: AUTH },
    async (options) => {
      const error = await rejectsWith("auth-failed", () => SmtpClient.connect(options));
      assertEquals([error.phase, error.enhancedCode, error.command], ["auth", "5.7.8", "AUTH PLAIN"]);
      assert(!error.message.includes(AUTH.pass));
    },
  ).then(() => {}));

test("SmtpClient rejects when no mechanism fits the credentials", () =>
  run(underTls("AUTH GSSAPI", QUIT), { auth: AUTH }, async (options) => {
    const error = await rejectsWith("auth-unsupported", () => SmtpClient.connect(options));
    assertStringIncludes(error.message, "GSSAPI");
  }).then(() => {}));

test("SmtpClient cancels a dialogue that makes no sense", () =>
  run(
    underTls(
      "AUTH LOGIN",
      `
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: ${btoa("user")}
    S: 334 UGFzc3dvcmQ6
    C: ${btoa("s3cret-word")}
    S: 334 bW9yZQ==
    C: *
    S: 501 5.7.0 cancelled
    ${QUIT}`,
    ),
    { auth: AUTH },
    async (options) => {
      const error = await rejectsWith("auth-failed", () => SmtpClient.connect(options));
      assertStringIncludes(error.message, "third challenge");
    },
  ).then(() => {}));

test("SmtpClient takes a mechanism of the user's own", () =>
  run(
    underTls(
      "AUTH X-ECHO",
      `
    C: AUTH X-ECHO =
    S: 334 aGVsbG8=
    C: aGVsbG8=
    S: 235 Welcome
    ${QUIT}`,
    ),
    {
      auth: {
        mechanism: () => ({
          name: "X-ECHO",
          initialResponse: new Uint8Array(),
          respond: (challenge) => challenge,
        }),
      },
    },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assert(client.authenticated);
    },
  ).then(() => {}));

test("SmtpClient with auth rejects when STARTTLS is not offered, and sends no credentials", () =>
  run(
    `
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH PLAIN
    ${QUIT}`,
    { auth: AUTH },
    async (options) => {
      const error = await rejectsWith("starttls-unavailable", () => SmtpClient.connect(options));
      assertEquals([error.phase, error.usable], ["starttls", false]);
    },
  ).then(() => {}));

test("SmtpClient with auth never logs in in the clear when TLS was only opportunistic", () =>
  run(
    `
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH PLAIN
    ${QUIT}`,
    { auth: AUTH, security: "opportunistic" },
    async (options) => {
      await rejectsWith("auth-insecure", () => SmtpClient.connect(options));
    },
  ).then(() => {}));

test("SmtpClient logs in in the clear where it is told to by name", () =>
  run(
    `
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250-STARTTLS
    S: 250 AUTH PLAIN
    C: AUTH PLAIN ${btoa("\0user\0s3cret-word")}
    S: 235 Welcome
    ${QUIT}`,
    { auth: AUTH, security: "none" },
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assertEquals([client.secure, client.authenticated], [false, true]);
    },
  ).then(() => {}));

test("SmtpClient rejects when TLS is required and STARTTLS is refused", () =>
  run(
    `
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 454 4.7.0 TLS not available
    ${QUIT}`,
    { security: "starttls" },
    async (options) => {
      const error = await rejectsWith("starttls-unavailable", () => SmtpClient.connect(options));
      assertEquals(error.temporary, true);
    },
  ).then(() => {}));

test("SmtpClient goes on in the clear when TLS is opportunistic and STARTTLS is refused", () =>
  run(
    `
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 454 4.7.0 TLS not available
    ${QUIT}`,
    {},
    async (options) => {
      await using client = await SmtpClient.connect(options);
      assertEquals(client.secure, false);
    },
  ).then(() => {}));

for (const injected of ["250 2.1.0 Ok", "250-half a reply"]) {
  test(`SmtpClient refuses "${injected}" behind the reply to STARTTLS`, () =>
    run(
      `
      S: 220 mx.test
      C: EHLO client.test
      S: 250-mx.test
      S: 250 STARTTLS
      C: STARTTLS
      S: 220 Go ahead
      S: ${injected}`,
      { security: "opportunistic" },
      async (options) => {
        const error = await rejectsWith("starttls-injection", () => SmtpClient.connect(options));
        assertEquals([error.phase, error.temporary], ["starttls", false]);
      },
    ).then(() => {}));
}

for (
  const [what, options] of [
    ["an unknown security", { security: "ssl" as "tls" }],
    ["tls options without TLS", { security: "none", tls: { caCerts: [] } }],
    ["a client name with a line end", { clientName: "a\r\nMAIL FROM:<>" }],
    ["a client name with a space", { clientName: "client.test SIZE=1" }],
    ["an unknown protocol", { protocol: "esmtp" as "smtp" }],
    ["a user without a password", { auth: { user: "me" } as typeof AUTH }],
    ["a path beside a socket", { path: "/run/smtp.sock" }],
    ["a local address beside a socket", { localAddress: "127.0.0.2" }],
    ["keep-alive beside a socket", { keepAlive: true }],
  ] satisfies [string, SmtpClientOptions][]
) {
  test(`SmtpClient.connect() refuses ${what} before anything is sent`, async () => {
    const { socket } = replay("");
    await assertRejects(() => SmtpClient.connect({ socket, ...options }), TypeError);
    await socket.close();
  });
}

for (
  const options of [{ maxInFlight: 0 }, { timeouts: { mail: 0 } }, { timeouts: { end: NaN } }, {
    port: 70_000,
  }]
) {
  test(`SmtpClient.connect() refuses ${JSON.stringify(options)}`, async () => {
    await assertRejects(() => SmtpClient.connect(options), RangeError);
  });
}

for (
  const [what, extensions, options, code, message] of [
    [
      "credentials and no STARTTLS",
      ["AUTH PLAIN"],
      { auth: AUTH, security: undefined },
      "starttls-unavailable",
      "TLS is required for the login and the server does not offer STARTTLS; " +
      'use security: "tls" if a port has TLS from the first byte, usually 465, ' +
      'or security: "none" to send the credentials in the clear',
    ],
    [
      "no credentials and no STARTTLS",
      [],
      { security: "starttls" },
      "starttls-unavailable",
      "TLS is required and the server does not offer STARTTLS; " +
      'use security: "tls" if a port has TLS from the first byte, usually 465, ' +
      'or security: "none" to send the mail in the clear',
    ],
    [
      "a login that would travel in the clear",
      ["AUTH PLAIN"],
      { auth: AUTH, security: "opportunistic" },
      "auth-insecure",
      'Cannot log in: the session is not protected by TLS, security is "opportunistic"; ' +
      'use security: "starttls" or "tls", or "none" to send the credentials in the clear',
    ],
    [
      "a server that takes logins only under TLS",
      ["STARTTLS"],
      { auth: AUTH, security: "none" },
      "auth-unsupported",
      'The server takes no login in the clear; use security: "starttls"',
    ],
  ] as const
) {
  test(`SmtpClient says which security to choose in the error about ${what}`, () =>
    run(
      `${hello(...extensions)}\n${QUIT}`,
      options as SmtpClientOptions,
      async (given) => {
        const error = await rejectsWith(code, () => SmtpClient.connect(given));
        assertEquals(error.message, message);
      },
    ).then(() => {}));
}
