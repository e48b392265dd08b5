/** Every call settles, and truly, when the session ends or the caller gives up at an awkward moment. */
import { assert, assertEquals } from "@std/assert";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const FROM = "me@example.com";
const TO = "you@example.org";
const ENVELOPE = { from: FROM, to: TO };
const BEGIN = `C: MAIL FROM:<${FROM}>
  S: 250 Ok
  C: RCPT TO:<${TO}>
  S: 250 Ok`;
const OPTIONS = { clientName: "client.test", security: "none" } as const;

test("SmtpClient.bdat() rejects a last chunk that waits while the connection is lost, and nothing is unhandled", async () => {
  const played = replay(`${hello("CHUNKING")}\n${BEGIN}\nC: BDAT 3\nC: a\nS! close`);
  const client = await SmtpClient.connect({ socket: played.socket, ...OPTIONS });
  await client.mail(FROM);
  await client.rcpt(TO);
  const first = client.bdat(new TextEncoder().encode("a\r\n"));
  const last = client.bdat(new TextEncoder().encode("b\r\n"), { last: true });
  await rejectsWith("connection-lost", () => first);
  const error = await rejectsWith("connection-lost", () => last);
  assertEquals(error.outcome, "not-sent");
  await new Promise((resolve) => setTimeout(resolve, 0)); // an unhandled rejection would fail the test here
  await played.done.catch(() => {});
});

const STEPS = {
  mail: [(client) => client.mail(FROM), "MAIL"],
  rcpt: [async (client) => void (await client.mail(FROM), await client.rcpt(TO)), "RCPT"],
  data: [async (client) => void (await begin(client), await client.data()), "DATA"],
  bdat: [async (client) => void (await begin(client), await client.bdat(new Uint8Array([0x0a]))), "BDAT"],
  reset: [async (client) => void (await begin(client), await client.reset()), "RSET"],
} satisfies Record<string, [(client: SmtpClient) => Promise<unknown>, string]>;

async function begin(client: SmtpClient): Promise<void> {
  await client.mail(FROM);
  await client.rcpt(TO);
}

for (const [name, [step, verb]] of Object.entries(STEPS)) {
  test(`SmtpClient.${name}() rejects when a trace aborts the session at its command`, async () => {
    const played = replay(`${hello("CHUNKING")}\n${BEGIN}\nC: never`);
    const controller = new AbortController();
    const client = await SmtpClient.connect({
      socket: played.socket,
      ...OPTIONS,
      signal: controller.signal,
      trace(event) {
        if (event.type === "command" && event.line.startsWith(verb)) controller.abort(new Error("enough"));
      },
    });
    await rejectsWith("aborted", () => step(client));
    await rejectsWith("client-closed", () => client.noop());
    await played.done.catch(() => {});
  });
}

test("SmtpClient reports the caller's own error when a message fails while it is encoded", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const cause = new Error("disk");
      // deno-lint-ignore require-yield
      async function* broken(): AsyncGenerator<string> {
        await Promise.resolve();
        throw cause;
      }
      const encode = (message: ReadableStream<Uint8Array>) => message;
      const error = await rejectsWith("source-failed", () => client.send(ENVELOPE, broken(), { encode }));
      assertEquals([error.message, error.cause], ["Cannot read the message: disk", cause]);
    },
  ));

test("SmtpClient cancels a message whose encoder never starts", () =>
  converse(`${hello("SIZE")}\n${QUIT}`, async (client) => {
    let cancelled: unknown;
    const message = new ReadableStream<string>({ cancel: (reason) => void (cancelled = reason) });
    // deno-lint-ignore require-yield
    async function* encode(): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
    }
    const envelope = { from: FROM, to: TO, priority: 3 };
    const error = await rejectsWith("extension-missing", () => client.send(envelope, message, { encode }));
    assertEquals(cancelled, error);
  }));

test("SmtpClient.quit() waits for what is in flight, though mail() waits behind it", async () => {
  const played = replay(`${hello()}\n${BEGIN}
    C: DATA
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    C: MAIL FROM:<${FROM}>
    S: 250 Ok`);
  const client = await SmtpClient.connect({ socket: played.socket, ...OPTIONS });
  const sent = client.send(ENVELOPE, "A:");
  const mail = client.mail(FROM);
  await client.quit();
  assertEquals([(await sent).accepted, (await mail).code], [[TO], 250]);
  await played.done.catch(() => {});
});

test("SmtpClient takes a 421 while BDAT waits for a slow source for the server's leave", async () => {
  const played = replay(`${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    S: 250 Ok
    S: 250 Ok
    S: 421 4.4.2 Idle for too long
    S! close`);
  const client = await SmtpClient.connect({ socket: played.socket, ...OPTIONS });
  const stalled = new ReadableStream<string>();
  const error = await rejectsWith("service-unavailable", () => client.send(ENVELOPE, stalled));
  assertEquals([error.outcome, error.temporary, error.reply?.code], ["not-sent", true, 421]);
  await played.done.catch(() => {});
});

test("MessageWriter is aborted at once, though the server does not read", async () => {
  const [socket, server] = memorySocketPair();
  const reader = server.readable.getReader();
  const writer = server.writable.getWriter();
  const talk = (async () => {
    for (const reply of ["220 mx.test", "250 mx.test", "250 Ok", "250 Ok", "354 Go on"]) {
      await writer.write(new TextEncoder().encode(`${reply}\r\n`));
      if (!reply.startsWith("354")) await reader.read();
    }
  })();
  const client = await SmtpClient.connect({ socket, ...OPTIONS, clientName: "x.test" });
  await begin(client);
  const content = await client.data();
  await talk;
  const stream = content.getWriter();
  const written = stream.write("x\n".repeat(1_000_000));
  written.catch(() => {});
  stream.closed.catch(() => {});
  const reason = new Error("changed my mind");
  await stream.abort(reason);
  const error = await rejectsWith("aborted", () => content.receipt);
  assertEquals([error.cause, error.outcome, client.usable], [reason, "not-sent", false]);
  await server.close().catch(() => {});
});

test("SmtpChannel over a given socket closes when its signal is aborted", async () => {
  const controller = new AbortController();
  const { socket } = replay("S: 220 mx.test\nC: NOOP");
  const channel = await SmtpChannel.open({ socket, signal: controller.signal });
  await channel.replies.next();
  const waiting = channel.replies.next().then(() => "ended", () => "failed");
  controller.abort();
  assert(["ended", "failed"].includes(await waiting));
  await channel.closed.catch(() => {});
});

const GROUP = `C: MAIL FROM:<${FROM}>
  C: RCPT TO:<${TO}>
  C: DATA`;

for (const code of [300, 334, 354]) {
  for (
    const [where, extensions, replies] of [
      ["MAIL", [], "C: MAIL FROM:<me@example.com>\nS: 3xx What?"],
      ["RCPT", [], "C: MAIL FROM:<me@example.com>\nS: 250 Ok\nC: RCPT TO:<you@example.org>\nS: 3xx What?"],
      ["MAIL in a group", ["PIPELINING"], `${GROUP}\nS: 3xx What?`],
      ["the only RCPT in a group", ["PIPELINING"], `${GROUP}\nS: 250 Ok\nS: 3xx What?\nS: 354 Go\nS: 250 Ok`],
      ["RCPT behind a refused MAIL", ["PIPELINING"], `${GROUP}\nS: 550 No\nS: 3xx What?\nS: 354 Go`],
      ["the content", ["PIPELINING"], `${GROUP}\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: A:\nC: .\nS: 3xx What?`],
    ] as const
  ) {
    test(`SmtpClient takes ${code} in answer to ${where} for a breach of the protocol, for all mails`, async () => {
      const played = replay(`${hello(...extensions)}\n${replies.replace("3xx", `${code}`)}\nC: never`);
      const client = await SmtpClient.connect({ socket: played.socket, ...OPTIONS });
      const [first, second] = await Promise.allSettled([
        client.send(ENVELOPE, "A:"),
        client.send(ENVELOPE, "A:"),
      ]);
      assert(first.status === "rejected" && second.status === "rejected");
      const refused = where === "RCPT behind a refused MAIL";
      const outcome = refused ? "refused" : where === "the content" ? "unknown" : "not-sent";
      assertEquals([first.reason.code, first.reason.outcome], [
        refused ? "sender-refused" : "protocol-error",
        outcome,
      ]);
      assertEquals([second.reason.code, second.reason.outcome], ["protocol-error", "not-sent"]);
      await client.closed;
      await played.done.catch(() => {});
    });
  }

  for (const step of ["greeting", "EHLO", "STARTTLS", "NOOP", "VRFY", "raw"]) {
    test(`SmtpClient takes ${code} in answer to ${step} for a breach of the protocol`, async () => {
      const answer = (name: string, good: string) => `S: ${step === name ? `${code} What?` : good}`;
      const played = replay(`${answer("greeting", "220 mx.test")}
        C: EHLO client.test
        ${answer("EHLO", "250-mx.test\nS: 250 STARTTLS")}
        C: ${step === "STARTTLS" ? "STARTTLS" : step === "VRFY" ? "VRFY you" : "NOOP"}
        S: ${code} What?
        C: never`);
      const error = await rejectsWith("protocol-error", async () => {
        const client = await SmtpClient.connect({
          socket: played.socket,
          ...OPTIONS,
          security: step === "STARTTLS" ? "opportunistic" : "none",
        });
        await (step === "VRFY"
          ? client.vrfy("you")
          : step === "raw"
          ? client.command("NOOP")
          : client.noop());
      });
      assertEquals([error.reply?.code, error.usable], [code, false]);
      await played.done.catch(() => {});
    });
  }
}

test("SmtpClient: what a trace throws ends the session and rejects what is in flight, and is never uncaught", async () => {
  const played = replay(`${hello("PIPELINING")}\n${GROUP}\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: A:`);
  const bug = new Error("no disk");
  const client = await SmtpClient.connect({
    socket: played.socket,
    ...OPTIONS,
    trace(event) {
      if (event.type === "reply" && event.reply.code === 354) throw bug;
      if (event.type === "state" && event.state === "closed") throw bug;
    },
  });
  const sent = [client.send(ENVELOPE, new ReadableStream()), client.send(ENVELOPE, "A:")];
  for (const one of sent) {
    const error = await rejectsWith("aborted", () => one);
    assertEquals([error.cause, error.outcome, error.message], [
      bug,
      "not-sent",
      "Aborted because trace has thrown: no disk",
    ]);
  }
  await client.closed;
  await played.done.catch(() => {});
});

test("SmtpClient.connect() rejects when its trace throws what cannot be read", async () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  for (const bug of [Object.assign(new Error("x"), { message: null }), revoked.proxy, Object.create(null)]) {
    const { socket } = replay(hello());
    const trace = () => {
      throw bug;
    };
    const error = await rejectsWith("aborted", () => SmtpClient.connect({ socket, ...OPTIONS, trace }));
    assert(error.cause === bug);
    assert(error.message.startsWith("Aborted because trace has thrown: "), error.message);
  }
});

test("SmtpClient.connect() rejects when its trace throws", async () => {
  const bug = new Error("no disk");
  const { socket } = replay(hello());
  const trace = () => {
    throw bug;
  };
  const error = await rejectsWith("aborted", () => SmtpClient.connect({ socket, ...OPTIONS, trace }));
  assertEquals(error.cause, bug);
});

test("SmtpClient.send() is aborted by what onProgress throws, and the session goes on", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING")}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    C: BDAT ${64 * 1024}
    C: X:${"x".repeat(64 * 1024 - 4)}
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const bug = new Error("no screen");
      const message = new ReadableStream({
        start: (controller) => controller.enqueue(`X:${"x".repeat(64 * 1024 - 4)}\n`),
      });
      const onProgress = () => {
        throw bug;
      };
      const error = await rejectsWith("aborted", () =>
        client.send(ENVELOPE, message, { lineLength: "allow", onProgress }));
      assertEquals([error.cause, error.outcome, error.usable], [bug, "not-sent", true]);
    },
  ));

/** A message by each transfer, with the server's last word about it. */
const CONTENTS: Record<string, [protocol: "smtp" | "lmtp", transcript: string]> = {
  DATA: ["smtp", "C: DATA\nS: 354 Go\nC: A: x\nC: ."],
  BDAT: ["smtp", "C: BDAT 6 LAST\nC: A: x"],
  LMTP: ["lmtp", "C: DATA\nS: 354 Go\nC: A: x\nC: ."],
};

for (const [name, [protocol, content]] of Object.entries(CONTENTS)) {
  for (const reply of ["250 taken", "552 no"]) {
    test(`SmtpClient tells what the server has decided when a trace aborts the send at ${reply} (${name})`, async () => {
      const greeted = hello(...name === "BDAT" ? ["CHUNKING"] : []);
      const played = replay(
        `${protocol === "lmtp" ? greeted.replace("EHLO", "LHLO") : greeted}
        C: MAIL FROM:<${FROM}>
        S: 250 Ok
        C: RCPT TO:<${TO}>
        S: 250 Ok
        ${content}
        S: ${reply}`,
      );
      const { signal, abort } = aborter();
      const client = await SmtpClient.connect({
        socket: played.socket,
        ...OPTIONS,
        protocol,
        transfer: name === "BDAT" ? "bdat" : "data",
        trace(event) {
          if (event.type !== "reply" || event.reply.toString() !== reply) return;
          abort();
          void client.close();
        },
      });
      const sent = client.send(ENVELOPE, "A: x\r\n", { signal });
      if (reply.startsWith("250")) assertEquals((await sent).reply.text, "taken");
      else assertEquals((await rejectsWith("message-refused", () => sent)).outcome, "refused");
      await played.done.catch(() => {});
    });
  }
}

function aborter(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
