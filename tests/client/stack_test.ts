import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Reply } from "../../src/core/reply.ts";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { readOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { serve } from "../../src/server/mod.ts";
import type { SmtpServer } from "../../src/server/mod.ts";
import { runtime, sendMail, test } from "../support/harness.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MESSAGE = "Subject: Hi\r\n\r\nHello";

/** A server that refuses the sender `no@…`, the recipient `no@…`, and every message, each after a turn of the event loop. */
function refusing(): SmtpServer {
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  return serve({}, {
    async mail(sender) {
      await turn();
      if (sender.address?.startsWith("no@")) throw new Reply(550, "No such sender");
    },
    async rcpt(recipient) {
      await turn();
      if (recipient.address.startsWith("no@")) throw new Reply(550, "No such recipient");
    },
    async message() {
      await turn();
      throw new Reply(554, "Spam");
    },
  });
}

/** What the caller's function throws, once it is known that it has waited. */
async function errorOf(caller: () => Promise<unknown>): Promise<SmtpError> {
  const error = await caller().then(() => undefined, (error: unknown) => error);
  assertInstanceOf(error, SmtpError);
  return error;
}

/** Declares a test: the stack of what is thrown leads to the function that has made the call. */
function leads(name: string, call: (client: SmtpClient) => Promise<unknown>): void {
  test(`the stack of the error of ${name} leads to the caller`, async () => {
    await using server = refusing();
    const { hostname, port } = await server.listening;
    await using client = await SmtpClient.connect({ hostname, port });
    async function theCaller() {
      await call(client);
    }
    const { stack = "", name, message } = await errorOf(theCaller);
    assert(stack.includes("theCaller"), stack);
    // Deno and Node begin every stack with the error.
    assertEquals(runtime === "bun" || stack.startsWith(`${name}: ${message}`), true);
  });
}

leads("send()", (client) => client.send(ENVELOPE, MESSAGE));
leads(
  "send() with a sender that is refused",
  (client) => client.send({ ...ENVELOPE, from: "no@x.test" }, MESSAGE),
);
leads(
  "send() with a stream",
  (client) => client.send(ENVELOPE, () => new Blob([MESSAGE]).stream()),
);
leads("mail()", (client) => client.mail("no@x.test"));
leads("rcpt()", async (client) => {
  await client.mail("me@example.com");
  await client.rcpt("no@x.test");
});
leads("bdat()", async (client) => {
  await client.mail("me@example.com");
  await client.rcpt("you@example.org");
  await client.bdat(new TextEncoder().encode(MESSAGE), { last: true });
});
leads("close() of what data() returns", async (client) => {
  await client.mail("me@example.com");
  await client.rcpt("you@example.org");
  const content = await client.data();
  await content.close();
});
leads("close() of a writer of what data() returns", async (client) => {
  await client.mail("me@example.com");
  await client.rcpt("you@example.org");
  const writer = (await client.data()).getWriter();
  await writer.write(MESSAGE);
  await writer.close();
});
leads("expn()", (client) => client.expn("nobody"));
leads("etrn()", (client) => client.etrn("example.org"));
leads("startTls()", (client) => client.startTls());
leads("authenticate()", (client) => client.authenticate({ user: "tim", pass: "tanstaaftanstaaf" }));

// V8 shows ten frames: two are left for sendMail(), which calls it.
for (const tls of [{ caCerts: ["x"] }, { caCerts: "x" }, { fingerprints: ["x"] }, { cert: "x", key: "x" }]) {
  test(`the stack of the error of tls ${JSON.stringify(tls)} leads to the caller in eight frames`, () => {
    const theCaller = () => void readOptions({ tls });
    const { stack = "" } = assertThrows(theCaller, TypeError, "Cannot use TLS");
    const frames = stack.split("\n").filter((line) => /:\d+:\d+\)?$/.test(line));
    assert(frames.slice(0, 8).some((frame) => frame.includes("theCaller")), stack);
  });
}

for (
  const [name, connect] of [
    ["SmtpClient.connect()", SmtpClient.connect],
    ["SmtpClient.open()", SmtpClient.open],
    ["SmtpClient.verify()", SmtpClient.verify],
    ["SmtpChannel.open()", SmtpChannel.open],
  ] as const
) {
  test(`the stack of the error of ${name} leads to the caller`, async () => {
    let port = 0;
    {
      await using server = serve({});
      port = (await server.listening).port;
    }
    async function theCaller() {
      await connect({ hostname: "127.0.0.1", port });
    }
    const { stack, code } = await errorOf(theCaller);
    assertEquals(code, "connection-refused");
    assert(stack?.includes("theCaller"), stack);
  });
}

test("the stack of the error of SmtpClient.connect() leads to the caller when the server refuses", async () => {
  await using server = refusing();
  const { hostname, port } = await server.listening;
  async function theCaller() {
    await SmtpClient.connect({ hostname, port, security: "starttls" });
  }
  const { stack, code } = await errorOf(theCaller);
  assertEquals(code, "starttls-unavailable");
  assert(stack?.includes("theCaller"), stack);
});

test("the stack of the error of sendMail() leads to the caller", async () => {
  await using server = refusing();
  const { hostname, port } = await server.listening;
  async function theCaller() {
    await sendMail({ hostname, port }, ENVELOPE, MESSAGE);
  }
  const { stack, code } = await errorOf(theCaller);
  assertEquals(code, "message-refused");
  assert(stack?.includes("theCaller"), stack);
});

test("each call that fails with the session has an error of its own, whose stack leads to its caller", async () => {
  const reached = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  await using server = serve({}, {
    async mail() {
      reached.resolve();
      await over.promise;
    },
  });
  const { hostname, port } = await server.listening;
  const client = await SmtpClient.connect({ hostname, port });
  async function firstCaller() {
    await client.send(ENVELOPE, MESSAGE);
  }
  async function secondCaller() {
    await client.send(ENVELOPE, MESSAGE);
  }
  async function thirdCaller() {
    await client.noop();
  }
  async function fourthCaller() {
    await client.help();
  }
  const callers = { firstCaller, secondCaller, thirdCaller, fourthCaller };
  const errors = Object.values(callers).map((caller) => errorOf(caller));
  await reached.promise;
  await client.close();
  over.resolve();
  const seen = new Set<SmtpError>();
  for (const [index, name] of Object.keys(callers).entries()) {
    const error = await errors[index]!;
    assert(error.stack?.includes(name), error.stack);
    assertEquals([error.code, error.outcome], ["client-closed", "not-sent"]);
    seen.add(error);
  }
  assertEquals(seen.size, 4);
});
