import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { toText } from "@std/streams";
import { Reply } from "../../src/core/reply.ts";
import type { ServerHandlers, ServerSession } from "../../src/server/mod.ts";
import { test } from "../support/harness.ts";
import { assertTranscript } from "./transcript.ts";

const GREETED = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250-8BITMIME
  S: 250-SMTPUTF8
  S: 250-ENHANCEDSTATUSCODES
  S: 250 SIZE 33554432
`;

/** Handlers that decide at once, and the same ones taking their time. */
function inBothWays(handlers: ServerHandlers): ServerHandlers[] {
  const slow: Record<string, unknown> = {};
  for (const [name, handler] of Object.entries(handlers)) {
    slow[name] = async (...args: unknown[]) => {
      await Promise.resolve();
      return await (handler as (...args: unknown[]) => unknown)(...args);
    };
  }
  return [handlers, slow as ServerHandlers];
}

test("a handler's Reply goes to the client, whether returned or thrown", async () => {
  for (
    const handlers of inBothWays({
      connect: () => new Reply(220, "mx.test ESMTP at your service"),
      greet: (name) => new Reply(250, [`mx.test Hello ${name}`, "X-FAST"]),
      mail: ({ address }) => new Reply(250, `From ${address}`, { enhancedCode: "2.1.0" }),
      rcpt({ address }) {
        if (address.startsWith("no")) throw new Reply(550, "No such user", { enhancedCode: "5.1.1" });
        return address.startsWith("later") ? new Reply(450, "Later", { enhancedCode: "4.2.0" }) : undefined;
      },
      message: () => new Reply(250, "Queued as 1", { enhancedCode: "2.0.0" }),
    })
  ) {
    await assertTranscript(
      `
      S: 220 mx.test ESMTP at your service
      C: EHLO client.test
      S: 250-mx.test Hello client.test
      S: 250-X-FAST
      S: 250-PIPELINING
      S: 250-8BITMIME
      S: 250-SMTPUTF8
      S: 250-ENHANCEDSTATUSCODES
      S: 250 SIZE 33554432
      C: MAIL FROM:<a@example.com>
      C: RCPT TO:<no@example.org>
      C: RCPT TO:<later@example.org>
      C: DATA
      S: 250 2.1.0 From a@example.com
      S: 550 5.1.1 No such user
      S: 450 4.2.0 Later
      S: 554 5.5.1 No valid recipients
      C: RCPT TO:<yes@example.org>
      C: DATA
      S: 250 2.1.5 Recipient ok
      S: 354 End data with <CR><LF>.<CR><LF>
      C: Hello
      C: .
      S: 250 2.0.0 Queued as 1
    `,
      { handlers },
    );
  }
});

test("a 421 of a handler's ends the session", async () => {
  for (const handlers of inBothWays({ mail: () => new Reply(421, "Go away", { enhancedCode: "4.7.0" }) })) {
    await assertTranscript(
      `
      ${GREETED}
      C: MAIL FROM:<a@example.com>
      C: RCPT TO:<b@example.org>
      S: 421 4.7.0 Go away
      (end)
    `,
      { handlers },
    );
  }
});

test("a 554 of the connect handler leaves the client nothing but QUIT", async () => {
  for (const handlers of inBothWays({ connect: () => new Reply(554, "No SMTP service here") })) {
    await assertTranscript(
      `
      S: 554 No SMTP service here
      C: EHLO client.test
      C: NOOP
      C: QUIT
      S: 503 5.5.1 No service here, only QUIT
      S: 503 5.5.1 No service here, only QUIT
      S: 221 2.0.0 Bye
      (end)
    `,
      { handlers },
    );
  }
});

test("what a handler throws that is no Reply goes to onError and not to the client", async () => {
  const errors: unknown[] = [];
  const secret = new Error("the password is secret");
  const fail = () => {
    throw secret;
  };
  for (const handlers of inBothWays({ mail: fail, reset: fail, close: fail })) {
    await assertTranscript(
      `
      ${GREETED}
      C: MAIL FROM:<a@example.com>
      S: 451 4.3.0 Local error in processing
    `,
      { handlers, options: { onError: (error) => errors.push(error) } },
    );
  }
  assertEquals(errors, Array(12).fill(secret));
  await assertTranscript(
    `
    S: 421 4.3.0 Local error
    (end)
  `,
    { handlers: { connect: fail }, options: { onError: () => {} } },
  );
});

test("what a handler returns that is no Reply is not taken for a yes", async () => {
  const errors: unknown[] = [];
  for (const value of [false, true, null, 250, new Reply(354, "Go on")]) {
    for (const handlers of inBothWays({ rcpt: () => value as unknown as Reply })) {
      await assertTranscript(
        `
        ${GREETED}
        C: MAIL FROM:<a@example.com>
        C: RCPT TO:<b@example.org>
        S: 250 2.1.0 Sender ok
        S: 451 4.3.0 Local error in processing
      `,
        { handlers, options: { onError: (error) => errors.push(error) } },
      );
    }
  }
  for (const error of errors) assertInstanceOf(error, TypeError);
  assertEquals(errors.length, 30);
});

test("handlers see the session as it is now", async () => {
  let seen: unknown[] = [];
  const look = (name: string, session: ServerSession) => {
    const { clientName, esmtp, secure, user, envelope } = session;
    seen.push([name, clientName, esmtp, secure, user, envelope.from, ...envelope.to]);
  };
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<"a b"@example.com> SIZE=3
    C: RCPT TO:<b@example.org>
    C: RSET
    C: MAIL FROM:<>
    C: RCPT TO:<postmaster>
    C: DATA
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 250 2.0.0 Ok
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 354 End data with <CR><LF>.<CR><LF>
    C: Hello
    C: .
    S: 250 2.0.0 Ok
    C: MAIL FROM:<c@example.com>
    C: HELO other.test
    C: QUIT
    S: 250 2.1.0 Sender ok
    S: 250 mx.test
    S: 221 2.0.0 Bye
    (end)
  `,
    {
      handlers: () => {
        seen = [];
        return {
          connect: (session) => look("connect", session),
          greet: (name, session) => look(`greet ${name}`, session),
          mail: (sender, session) =>
            look(`mail ${sender.address} ${JSON.stringify(sender.parameters)}`, session),
          rcpt: (recipient, session) => look(`rcpt ${recipient.address}`, session),
          async message(content, session) {
            look(`message ${JSON.stringify(await toText(content))}`, session);
          },
          reset: (session) => look("reset", session),
          close: (session) => look("close", session),
        };
      },
    },
  );
  assertEquals(seen, [
    ["connect", "", false, false, undefined, null],
    ["greet client.test", "", false, false, undefined, null],
    [`mail "a b"@example.com {"SIZE":"3"}`, "client.test", true, false, undefined, null],
    ["rcpt b@example.org", "client.test", true, false, undefined, `"a b"@example.com`],
    ["reset", "client.test", true, false, undefined, null],
    ["mail null {}", "client.test", true, false, undefined, null],
    ["rcpt postmaster", "client.test", true, false, undefined, null],
    [`message "Hello\\r\\n"`, "client.test", true, false, undefined, null, "postmaster"],
    ["mail c@example.com {}", "client.test", true, false, undefined, null],
    ["greet other.test", "client.test", true, false, undefined, "c@example.com"],
    ["reset", "other.test", false, false, undefined, null],
    ["close", "other.test", false, false, undefined, null],
  ]);
});

test("a session's envelope is its own: the next transaction does not change it", async () => {
  const envelopes: ServerSession["envelope"][] = [];
  const ids = new Set<string>();
  await assertTranscript(
    `
    ${GREETED}
    C: MAIL FROM:<a@example.com>
    C: RCPT TO:<b@example.org>
    C: DATA
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 354 End data with <CR><LF>.<CR><LF>
    C: .
    C: MAIL FROM:<c@example.com>
    C: RCPT TO:<d@example.org>
    C: DATA
    S: 250 2.0.0 Ok
    S: 250 2.1.0 Sender ok
    S: 250 2.1.5 Recipient ok
    S: 354 End data with <CR><LF>.<CR><LF>
    C: .
    S: 250 2.0.0 Ok
  `,
    {
      handlers: {
        message(_, session) {
          envelopes.push(session.envelope);
          ids.add(session.id);
        },
      },
      cuts: ["whole"],
    },
  );
  assertEquals(envelopes.map(({ from, to }) => [from, to]), [
    ["a@example.com", ["b@example.org"]],
    ["c@example.com", ["d@example.org"]],
  ]);
  assertEquals(ids.size, 1);
  assert([...ids][0]!.length > 0);
});
