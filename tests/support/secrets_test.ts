import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Auth, SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { formsOf } from "./secret_forms.ts";
import { registerSecret, watchSecrets } from "./secrets.ts";
import { sendMail, test } from "./harness.ts";
import { replay } from "./replay.ts";

const PASS = "Tr0ub4dor & 3ä";
const AUTH = { user: "ada", pass: PASS };

const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/**
 * A session in which the server greets with this line, and answers the login with that. What it says before the login is shown as
 * it is: nothing that it could repeat was sent by then.
 */
function session(
  greeting = "220 mx.test",
  reply = "235 Welcome",
): Pick<SmtpClientOptions, "socket" | "clientName"> {
  const { socket } = replay(`
    S: ${greeting}
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH PLAIN
    C: AUTH PLAIN ${base64(`\0ada\0${PASS}`)}
    S: ${reply}
    C: QUIT
    S: 221 Bye`);
  return { socket, clientName: "client.test" };
}

async function logIn(
  options: Partial<SmtpClientOptions> = {},
  greeting?: string,
  reply?: string,
): Promise<void> {
  const client = await SmtpClient.connect({
    ...session(greeting, reply),
    security: "none",
    auth: AUTH,
    ...options,
  });
  await client.quit();
}

/** Fails unless the watch finds the secret that the test lets out. */
async function isCaught(where: string, body: () => Promise<void>): Promise<void> {
  const error = await assertRejects(() => watchSecrets(body), Error);
  assertStringIncludes(error.message, where);
}

test("watchSecrets() finds nothing in a session that shows nothing", async () => {
  await watchSecrets(() => logIn());
  await watchSecrets(async () => {
    const error = await assertRejects(() => logIn({}, "220 mx.test", "535 No"), SmtpError);
    assertEquals(error.code, "auth-failed");
  });
});

for (
  const [form, text] of [
    ["as it is", PASS],
    ["within a text", `The password "${PASS}" is wrong`],
    ["in JSON", JSON.stringify({ pass: PASS })],
    ["in base64", base64(PASS)],
    ["in base64 after one more character", base64(`x${PASS}`)],
    ["in base64 after two more characters", base64(`xx${PASS}`)],
    ["in base64 before others", base64(`${PASS}, or so`)],
    ["in base64 that is broken into lines", base64(PASS).replace(/(.{5})/g, "$1\r\n ")],
    ["in base64url", base64(PASS).replaceAll("+", "-").replaceAll("/", "_").replace(/=*$/, "")],
    ["as PLAIN sends it", base64(`\0ada\0${PASS}`)],
    ["in hex", "5472307562346" + "46f722026203" + "3c3a4"],
    ["in hex in capitals", "54723075623464" + "6F7220262033" + "C3A4"],
    ["as a part of a URL", `https://ada:${encodeURIComponent(PASS)}@mx.test`],
    ["as bytes", new TextEncoder().encode(PASS)],
    ["as bytes in JSON", [...new TextEncoder().encode(PASS)]],
    ["taken for Latin-1", String.fromCharCode(...new TextEncoder().encode(PASS))],
    ["deep within an object", { a: { b: [{ c: PASS }] } }],
    ["in an error", new Error("It is wrong", { cause: new Error(PASS) })],
  ] as [string, unknown][]
) {
  test(`watchSecrets() finds a password that stands in an error ${form}`, () =>
    isCaught("an error", async () => {
      await logIn();
      new SmtpError("auth-failed", "It is wrong", { phase: "auth", cause: text });
    }));
}

test("watchSecrets() finds a password on the console", () =>
  isCaught("a log or on the console", async () => {
    await logIn();
    console.log("A password on the console, for a test:", { pass: PASS });
  }));

test("watchSecrets() finds a password in a trace and in a log", async () => {
  const lines: unknown[] = [];
  const write = (...words: unknown[]) => void lines.push(words);
  const logger = { debug: write, info: write, warn: write, error: write };
  await isCaught("a trace", () => logIn({ logger }, `220 mx.test, ${PASS}`));
  assertStringIncludes(JSON.stringify(lines), PASS);
});

test("watchSecrets() finds a password in the trace of a later login", () =>
  isCaught("a trace", async () => {
    const { socket } = replay(`
      S: 220 mx.test, ${PASS}
      C: EHLO client.test
      S: 250-mx.test
      S: 250 AUTH PLAIN
      C: AUTH PLAIN ${base64(`\0ada\0${PASS}`)}
      S: 535 No
      C: QUIT
      S: 221 Bye`);
    const client = await SmtpClient.open({ socket, clientName: "client.test", security: "none" });
    await client.ehlo();
    await assertRejects(() => client.authenticate(AUTH), SmtpError);
    await client.quit();
  }));

test("watchSecrets() finds a password in an error that the test has caught", () =>
  isCaught("an error", async () => {
    await logIn();
    const error = new SmtpError("auth-failed", "It is wrong", { phase: "auth", cause: { tried: [PASS] } });
    await assertRejects(() => Promise.reject(error), SmtpError);
  }));

test("watchSecrets() finds a password in an error of the caller's making", () =>
  isCaught("an error", async () => {
    const options = { ...session(), auth: AUTH, clientName: PASS };
    await assertRejects(() => SmtpClient.connect(options), TypeError);
  }));

test("watchSecrets() finds a password that sendMail() lets out", () =>
  isCaught("a trace", async () => {
    const { socket } = replay(`
      S: 220 mx.test, ${PASS}
      C: EHLO client.test
      S: 250-mx.test
      S: 250 AUTH PLAIN
      C: AUTH PLAIN ${base64(`\0ada\0${PASS}`)}
      S: 235 Welcome
      C: MAIL FROM:<>
      S: 550 No
      C: QUIT
      S: 221 Bye`);
    const options = { socket, clientName: "client.test", security: "none", auth: AUTH } as const;
    await assertRejects(() => sendMail(options, { from: null, to: "you@example.org" }, "A: Hi"), SmtpError);
  }));

for (const later of [false, true]) {
  test(`watchSecrets() knows the access tokens that functions return${later ? ", later" : ""}`, () =>
    isCaught("a trace", async () => {
      const token = "ya29.a0-very-long-token";
      const auth: Auth = {
        user: "ada",
        accessToken: () => later ? Promise.resolve(token) : token,
        mechanisms: ["XOAUTH2"],
      };
      const { socket } = replay(`
        S: 220 mx.test, ${token}
        C: EHLO client.test
        S: 250-mx.test
        S: 250 AUTH XOAUTH2
        C: AUTH XOAUTH2 ${btoa(`user=ada\x01auth=Bearer ${token}\x01\x01`)}
        S: 235 Welcome
        C: QUIT
        S: 221 Bye`);
      const client = await SmtpClient.connect({ socket, clientName: "client.test", security: "none", auth });
      await client.quit();
    }));
}

test("watchSecrets() knows what a custom mechanism says, and what the test registers", async () => {
  const auth: Auth = {
    mechanism: () => ({
      name: "X-OWN",
      respond: () => Promise.reject(new Error("I do not say more")),
      initialResponse: new TextEncoder().encode("a word of mine"),
    }),
    initialResponse: false,
  };
  const transcript = (word: string) => `
    S: 220 mx.test, ${word}
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH X-OWN
    C: AUTH X-OWN
    S: 334 
    C: ${btoa("a word of mine")}
    S: 334 
    C: *
    S: 501 Cancelled
    C: QUIT
    S: 221 Bye`;
  const attempt = async (word: string) => {
    const { socket } = replay(transcript(word));
    const options = { socket, clientName: "client.test", security: "none", auth } as const;
    await assertRejects(() => SmtpClient.connect(options), SmtpError);
  };
  await watchSecrets(() => attempt("anything"));
  await isCaught("a trace", () => attempt(btoa("a word of mine")));
  await watchSecrets(() => attempt("open sesame"));
  await isCaught("", async () => {
    registerSecret("open sesame");
    await attempt("open sesame");
  });
});

test("watchSecrets() refuses passwords that cannot be told from other text", async () => {
  const { socket } = replay(`
    S: 220 mx.test
    C: EHLO client.test
    S: 250-mx.test
    S: 250 AUTH PLAIN
    C: AUTH PLAIN ${btoa("\0ada lovelace\0lovelace")}
    S: 235 Welcome
    C: QUIT
    S: 221 Bye`);
  await isCaught(
    "cannot be told from other text",
    () => logIn({ socket, auth: { user: "ada lovelace", pass: "lovelace" } }),
  );
  await isCaught(
    "cannot be told from other text",
    () =>
      assertRejects(() => logIn({ auth: { user: "ada", pass: "x", mechanisms: [] } }), TypeError).then(
        () => {},
      ),
  );
});

test("watchSecrets() lets a test see what it does itself, and its own failure come first", async () => {
  const failure = new Error(PASS);
  const error = await assertRejects(() =>
    watchSecrets(async () => {
      await logIn();
      throw failure;
    })
  );
  assertEquals(error, failure);
});

test("formsOf() lists what base64 makes of a text wherever it begins", () => {
  const forms = formsOf(PASS);
  for (let before = 0; before < 9; before++) {
    for (let after = 0; after < 4; after++) {
      const encoded = base64(`${"?".repeat(before)}${PASS}${"!".repeat(after)}`);
      assertEquals(forms.some((form) => encoded.includes(form)), true, encoded);
    }
  }
});
