import { assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Verification } from "../../src/client/client.ts";
import { ehlo, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

async function verify(transcript: string): Promise<Verification> {
  const played = replay(transcript);
  try {
    return await SmtpClient.verify({
      socket: played.socket,
      clientName: "client.test",
      auth: { user: "u", pass: "right-pass" },
    });
  } finally {
    await played.done; // the connection is closed, however it went
  }
}

const TLS = `S: 220 mx.test ESMTP
  ${ehlo("STARTTLS")}
  C: STARTTLS
  S: 220 Go
  S! tls
  ${ehlo("AUTH PLAIN", "SIZE 5")}
  C: AUTH PLAIN AHUAcmlnaHQtcGFzcw==`;

test("SmtpClient.verify() finds host, TLS and login, sends nothing, and closes", async () => {
  const found = await verify(`${TLS}
    S: 235 Yes
    C: NOOP
    S: 250 Ok
    ${QUIT}`);
  assertEquals([found.greeting.text, found.extensions.size], ["mx.test ESMTP", 5]);
  assertEquals([found.secure, found.authenticated], [true, true]);
});

test("SmtpClient.verify() says that a login is refused, and closes", async () => {
  const error = await rejectsWith("auth-failed", () => verify(`${TLS}\nS: 535 5.7.8 No\n${QUIT}`));
  assertEquals([error.phase, error.usable], ["auth", false]);
});

test("SmtpClient.verify() says that a server does not go on behind the login, and closes", async () => {
  const error = await rejectsWith("command-refused", () =>
    verify(`${TLS}
      S: 235 Yes
      C: NOOP
      S: 550 5.7.0 Not you
      ${QUIT}`));
  assertEquals(error.enhancedCode, "5.7.0");
});

test("SmtpClient.verify() says that TLS cannot be had, and closes", async () => {
  await rejectsWith("starttls-unavailable", () => verify(`S: 220 mx.test\n${ehlo("AUTH PLAIN")}\n${QUIT}`));
});
