/** What a program gives by mistake where something else is due may be a secret: no error of an option shows it. */
import { assert } from "@std/assert";
import { SmtpChannel } from "../src/client/channel.ts";
import { SmtpClient } from "../src/client/client.ts";
import type { SmtpClientOptions } from "../src/client/options.ts";
import { clientCredentials, fixedToken, refreshToken, serviceAccount } from "../src/oauth2/mod.ts";
import { serveSocket } from "../src/server/mod.ts";
import { memorySocketPair } from "../src/sockets/memory.ts";
import { connectWebSocket } from "../src/sockets/websocket/connect.ts";
import { converse, hello, QUIT } from "./support/conversation.ts";
import { sendMail, test } from "./support/harness.ts";
import { formsOf } from "./support/secret_forms.ts";
import { textOf } from "./support/secrets.ts";

const PASS = "swordf1sh";
const NUMBER = 8_675_309;
const URL_WITH_PASS = `smtps://me:${PASS}@mx.test:465/?x`;
const PEM = `-----BEGIN PRIVATE KEY-----\n${btoa(PASS)}\n-----END PRIVATE KEY-----`;

/** Whatever is done with these options, nothing is opened. */
const socket = () => Promise.reject(new Error("A connection was opened"));

/** The error of a call that must fail, with nothing of the secret in it. */
async function mustHide(call: () => unknown): Promise<void> {
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof Error, "It does not fail");
  assert(!error.message.includes("was opened"), "It has opened a connection");
  const shown = textOf(error);
  for (const form of [...formsOf(PASS), String(NUMBER), PASS.slice(0, 6)]) {
    assert(!shown.includes(form), `It shows ${form}: ${shown}`);
  }
}

const untyped = <T>(value: unknown): T => value as T;

const CONNECT: readonly (readonly [what: string, options: unknown])[] = [
  ["auth that is the password", { socket, auth: PASS }],
  ["auth that is a list", { socket, auth: ["me", PASS] }],
  ["auth that is a number", { socket, auth: NUMBER }],
  ["auth that is a function", { socket, auth: () => PASS }],
  ["auth that is a text as an object", { socket, auth: { ...[..."swordf1sh"] } }],
  ["the password as the name of a property", { socket, auth: { [PASS]: "me" } }],
  ["the password as the name of one more property", {
    socket,
    auth: { user: "me", pass: "tops3cret", [PASS]: true },
  }],
  ["a password that is a number", { socket, auth: { user: "me", pass: NUMBER } }],
  ["a password in a list", { socket, auth: { user: "me", pass: [PASS] } }],
  ["a password in an object", { socket, auth: { user: "me", pass: { value: PASS } } }],
  ["a password in a promise", { socket, auth: { user: "me", pass: Promise.resolve(PASS) } }],
  ["a password with NUL", { socket, auth: { user: "me", pass: `${PASS}\0` } }],
  ["a user with NUL", { socket, auth: { user: `${PASS}\0`, pass: "tops3cret" } }],
  ["a user that is a number", { socket, auth: { user: NUMBER, pass: PASS } }],
  ["a user in a list", { socket, auth: { user: [PASS], pass: PASS } }],
  ["an authzid that is an object", { socket, auth: { user: "me", pass: PASS, authzid: { PASS } } }],
  ["a password and a token", { socket, auth: { user: "me", pass: PASS, accessToken: PASS } }],
  ["a token in an object", { socket, auth: { user: "me", accessToken: { token: PASS } } }],
  ["a token in a promise", { socket, auth: { user: "me", accessToken: Promise.resolve(PASS) } }],
  ["a token with NUL", { socket, auth: { user: "me", accessToken: `${PASS}\0` } }],
  ["a token without a user", { socket, auth: { accessToken: PASS } }],
  ["a mechanism that is a text", { socket, auth: { mechanism: PASS } }],
  ["mechanisms that are a text", { socket, auth: { user: "me", pass: PASS, mechanisms: PASS } }],
  ["mechanisms that do not exist", { socket, auth: { user: "me", pass: PASS, mechanisms: [PASS] } }],
  ["credentials of nodemailer", { socket, auth: { credentials: { user: "me", pass: PASS } } }],
  ["the secrets of OAuth in auth", { socket, auth: { user: "me", clientSecret: PASS, refreshToken: PASS } }],
  ["an external that is a number", { socket, auth: { external: NUMBER } }],
  ["an anonymous that is a list", { socket, auth: { anonymous: [PASS] } }],
  ["a password beside auth", { socket, user: "me", pass: PASS }],
  ["a URL instead of options", URL_WITH_PASS],
  ["a list instead of options", ["mx.test", "me", PASS]],
  ["a URL as url", { socket, url: URL_WITH_PASS }],
  ["a URL as hostname", { hostname: URL_WITH_PASS }],
  ["a URL without a scheme as hostname", { hostname: `me:${PASS}@mx.test` }],
  ["a URL as path", { path: URL_WITH_PASS }],
  ["a URL as socket", { socket: `socks5://me:${PASS}@proxy.test` }],
  ["a URL as proxy", { socket, proxy: `http://me:${PASS}@proxy.test` }],
  ["a URL as tls.serverName", { hostname: "mx.test", tls: { serverName: URL_WITH_PASS } }],
  ["tls that is a text", { hostname: "mx.test", tls: PASS }],
  ["a key that is no PEM", { hostname: "mx.test", tls: { key: PASS, cert: PASS } }],
  ["a key that is a number", { hostname: "mx.test", tls: { key: NUMBER, cert: NUMBER } }],
  ["a key with garbage in it", { hostname: "mx.test", tls: { cert: PEM, key: PEM } }],
  ["a key as certificate", { hostname: "mx.test", tls: { caCerts: PEM } }],
  ["a key in a list of certificates", { hostname: "mx.test", tls: { caCerts: [PEM] } }],
  ["a passphrase", { hostname: "mx.test", tls: { passphrase: PASS, key: PEM } }],
];

for (const [what, options] of CONNECT) {
  test(`connect() does not show a secret when it gets ${what}`, async () => {
    const given = untyped<SmtpClientOptions>(options);
    await mustHide(() => SmtpClient.connect(given));
    await mustHide(() =>
      sendMail(given, { from: "me@example.com", to: "you@example.org" }, "Subject: Hi\r\n\r\n")
    );
    if (!what.includes("auth that")) await mustHide(() => SmtpChannel.open(given));
  });
}

test("authenticate() does not show a secret when it gets the wrong thing", async () => {
  await converse(`${hello()}\n${QUIT}`, async (client) => {
    for (const auth of [PASS, [PASS], NUMBER, { [PASS]: 1 }, { user: "me", pass: NUMBER }]) {
      await mustHide(() => client.authenticate(untyped(auth)));
    }
  });
});

test("command() and write() do not show a secret when the line is not valid", async () => {
  const [near, far] = memorySocketPair();
  const channel = await SmtpChannel.open({ socket: near });
  for (
    const line of [
      `AUTH PLAIN ${btoa(`\0me\0${PASS}`)}\r\n`,
      `X-LOGIN ${PASS}\n`,
      `${PASS}\u00e4`,
      `${PASS} `.repeat(2_000),
    ]
  ) {
    await mustHide(() => channel.command(line));
  }
  await channel.close();
  await far.close();
  await converse(`${hello()}\n${QUIT}`, async (client) => {
    for (const line of [`X-LOGIN ${PASS}\n`, `AUTH PLAIN ${btoa(`\0me\0${PASS}`)}`, `${PASS}\u00e4`]) {
      await mustHide(() => client.command(line));
    }
  });
});

const provider = { tokenEndpoint: "https://login.test/token" };
const app = { provider, clientId: "app" };

const SOURCES: readonly (readonly [what: string, make: () => unknown])[] = [
  ["a text instead of options", () => clientCredentials(untyped(PASS))],
  ["a clientSecret that is a number", () => clientCredentials(untyped({ ...app, clientSecret: NUMBER }))],
  [
    "a clientSecret that is an object",
    () => clientCredentials(untyped({ ...app, clientSecret: { value: PASS } })),
  ],
  [
    "a clientSecret and a privateKey",
    () => clientCredentials({ ...app, clientSecret: PASS, privateKey: PEM }),
  ],
  [
    "the secret as the method",
    () => clientCredentials(untyped({ ...app, clientSecret: PASS, clientSecretMethod: PASS })),
  ],
  ["the secret as client_secret", () => clientCredentials(untyped({ ...app, client_secret: PASS }))],
  [
    "a clientId that is an object",
    () => clientCredentials(untyped({ ...app, clientId: { PASS }, clientSecret: PASS })),
  ],
  ["a privateKey that is no PEM", () => clientCredentials({ ...app, privateKey: PASS })],
  [
    "a privateKey that is not base64",
    () => clientCredentials({ ...app, privateKey: PEM.replace(btoa(PASS), `!${PASS}`) }),
  ],
  ["a privateKey that is none", () => clientCredentials({ ...app, privateKey: PEM })()],
  ["a certificate that is a key", () => clientCredentials({ ...app, privateKey: PEM, certificate: PEM })],
  ["a refreshToken that is a number", () => refreshToken(untyped({ ...app, refreshToken: NUMBER }))],
  ["a refreshToken that is a list", () => refreshToken(untyped({ ...app, refreshToken: [PASS] }))],
  [
    "a refreshToken that is a promise",
    () => refreshToken(untyped({ ...app, refreshToken: Promise.resolve(PASS) })),
  ],
  [
    "a provider that is a text",
    () => refreshToken(untyped({ provider: PASS, clientId: "app", refreshToken: PASS })),
  ],
  ["a key that is not JSON", () => serviceAccount({ key: `{"private_key":"${PASS}` })],
  ["a key without members", () => serviceAccount({ key: JSON.stringify({ key: PASS }) })],
  [
    "a key whose private_key is no PEM",
    () => serviceAccount({ key: { client_email: "me@example.com", private_key: PASS } }),
  ],
  ["a token with a space", () => fixedToken(`${PASS} ${PASS}`)],
  ["a token that is an object", () => fixedToken(untyped({ token: PASS }))],
  [
    "a URL with a password",
    () =>
      refreshToken({
        ...app,
        provider: { tokenEndpoint: `https://me:${PASS}@login.test` },
        refreshToken: "x",
      }),
  ],
  [
    "a URL with a password that is no URL",
    () =>
      refreshToken({
        ...app,
        provider: { tokenEndpoint: `https://me:${PASS}@login test` },
        refreshToken: "x",
      }),
  ],
  [
    "a URL with a password and another scheme",
    () =>
      refreshToken({ ...app, provider: { tokenEndpoint: `ftp://login.test/${PASS}` }, refreshToken: "x" }),
  ],
];

for (const [what, make] of SOURCES) {
  test(`a token source does not show a secret when it gets ${what}`, async () => {
    await mustHide(make);
  });
}

test("connectWebSocket() does not show a password of its URL", async () => {
  for (
    const url of [`me:${PASS}@bridge.test`, `ftp://me:${PASS}@bridge.test`, `wss://me:${PASS}@bridge.test/#x`]
  ) {
    await mustHide(() => connectWebSocket(url));
  }
});

for (
  const [what, account] of [
    ["a text", PASS],
    ["a number", NUMBER],
    ["an object", { toString: () => PASS }],
  ] as const
) {
  test(`serve() does not show what the handler of AUTH gives when it is ${what}`, async () => {
    const [near, far] = memorySocketPair();
    const errors: unknown[] = [];
    const options = {
      serverName: "mx.test",
      allowInsecureAuth: true,
      onError: (error: unknown) => void errors.push(error),
    };
    const served = serveSocket(far, options, { auth: () => untyped(account) });
    {
      await using channel = await SmtpChannel.open({ socket: near });
      for (const line of ["", "EHLO client.test", `AUTH PLAIN ${btoa(`\0me\0${PASS}`)}`]) {
        if (line !== "") await channel.command(line);
        await channel.replies.next();
      }
    }
    await served;
    await mustHide(() => {
      throw errors[0];
    });
  });
}
