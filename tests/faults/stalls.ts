/**
 * Each phase stalled forever ends at its limit, with the right code and phase, and leaves nothing behind: on a clock of its own,
 * so that the limits may be what they are in practice.
 * @module
 */
import { assertEquals } from "@std/assert";
import "../../src/client/authenticate.ts";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { sendMail } from "../../src/client/send_mail.ts";
import { type Outcome, type Phase, SmtpError } from "../../src/errors.ts";
import { serveSocket } from "../../src/server/serve_socket.ts";
import { Clock } from "../fuzz/clock.ts";
import { Strays } from "../fuzz/strays.ts";
import { FaultWire } from "../support/fault_wire.ts";
import { settle } from "./in_memory.ts";
import { type Offer, stallingServer } from "./stalling_server.ts";

/** Something that stands still, and what has to come of it. */
export interface Stall {
  readonly name: string;
  /** Throws if something else comes of it, or something is left. */
  run(): Promise<void>;
}

/** All of them. */
export const stalls: Stall[] = [];

function stall(name: string, run: () => Promise<void>): void {
  stalls.push({ name, run });
}

/** Each limit has a length of its own, so that it shows which one it was. */
const LIMITS = {
  connect: 11_000,
  greeting: 12_000,
  command: 13_000,
  mail: 14_000,
  rcpt: 15_000,
  data: 16_000,
  block: 17_000,
  end: 18_000,
  quit: 19_000,
};

type Use = (options: SmtpClientOptions) => Promise<unknown>;

interface Case {
  readonly name: string;
  readonly server: Offer;
  readonly client?: SmtpClientOptions;
  /** What is done. Default: one message. */
  readonly use?: Use;
  readonly limit: keyof typeof LIMITS;
  readonly phase: Phase;
  /** Default: `"not-sent"`. */
  readonly outcome?: Outcome;
  /** How many bytes a kernel keeps. */
  readonly capacity?: number;
}

const ENVELOPE = { from: "me@client.test", to: "you@mx.test" };
const TEXT = "Subject: Hi\r\n\r\nHello\r\n";
const LARGE = `Subject: Hi\r\n\r\n${"A line of text.\r\n".repeat(20_000)}`;

const send = (text = TEXT, to: string[] = ["you@mx.test"]): Use => async (options) => {
  const client = await SmtpClient.connect(options);
  return await client.send({ ...ENVELOPE, to }, text);
};

const steps = (body: (client: SmtpClient) => Promise<unknown>): Use => async (options) => {
  const client = await SmtpClient.connect(options);
  await client.mail(ENVELOPE.from);
  return await body(client);
};

const auth = { user: "me", pass: "secret words", mechanisms: ["LOGIN"] };
const starttls = { security: "starttls" } as const;
const pipelining = ["PIPELINING"];
const chunking = ["PIPELINING", "CHUNKING"];
const bytes = new TextEncoder().encode(TEXT);

const CASES: readonly Case[] = [
  {
    name: "a socket that never opens",
    server: { at: "greeting" },
    client: { hostname: "mx.test", socket: () => new Promise<never>(() => {}) },
    limit: "connect",
    phase: "connect",
  },
  {
    name: "TLS from the first byte",
    server: { at: "greeting" },
    client: { security: "tls", hostname: "mx.test" },
    limit: "connect",
    phase: "connect",
  },
  { name: "the greeting", server: { at: "greeting" }, limit: "greeting", phase: "greeting" },
  { name: "EHLO", server: { at: "EHLO" }, limit: "command", phase: "ehlo" },
  { name: "HELO", server: { at: "HELO" }, limit: "command", phase: "ehlo" },
  {
    name: "STARTTLS",
    server: { at: "STARTTLS", extensions: ["STARTTLS"] },
    client: starttls,
    limit: "command",
    phase: "starttls",
  },
  {
    name: "the TLS handshake",
    server: { at: "handshake", extensions: ["STARTTLS"] },
    client: starttls,
    limit: "connect",
    phase: "starttls",
  },
  {
    name: "EHLO under TLS",
    server: { at: "EHLO again", extensions: ["STARTTLS"] },
    client: starttls,
    limit: "command",
    phase: "ehlo",
  },
  {
    name: "AUTH",
    server: { at: "AUTH", extensions: ["AUTH LOGIN"] },
    client: { auth },
    limit: "command",
    phase: "auth",
  },
  {
    name: "the second step of a login",
    server: { at: "password", extensions: ["AUTH LOGIN"] },
    client: { auth },
    limit: "command",
    phase: "auth",
  },
  {
    name: "NOOP",
    server: { at: "NOOP" },
    use: async (options) => await (await SmtpClient.connect(options)).noop(),
    limit: "command",
    phase: "command",
  },
  { name: "MAIL", server: { at: "MAIL" }, limit: "mail", phase: "mail" },
  { name: "half a reply to MAIL", server: { at: "half a reply" }, limit: "mail", phase: "mail" },
  { name: "RCPT", server: { at: "RCPT" }, limit: "rcpt", phase: "rcpt" },
  { name: "DATA", server: { at: "DATA" }, limit: "data", phase: "data" },
  {
    name: "the reply to the content",
    server: { at: "content" },
    limit: "end",
    phase: "content",
    outcome: "unknown",
  },
  { name: "MAIL in a group", server: { at: "MAIL", extensions: pipelining }, limit: "mail", phase: "mail" },
  { name: "RCPT in a group", server: { at: "RCPT", extensions: pipelining }, limit: "rcpt", phase: "rcpt" },
  { name: "DATA in a group", server: { at: "DATA", extensions: pipelining }, limit: "data", phase: "data" },
  {
    name: "MAIL in a group with BDAT",
    server: { at: "MAIL", extensions: chunking },
    limit: "mail",
    phase: "mail",
    outcome: "unknown",
  },
  {
    name: "the reply to BDAT LAST",
    server: { at: "content", extensions: chunking },
    limit: "end",
    phase: "content",
    outcome: "unknown",
  },
  {
    name: "the reply to a chunk",
    server: { at: "BDAT", extensions: chunking },
    client: { transfer: "bdat" },
    use: send(LARGE),
    limit: "end",
    phase: "content",
  },
  {
    name: "the content, of which the server reads nothing",
    server: { at: "354" },
    use: send(LARGE),
    limit: "block",
    phase: "content",
    capacity: 1_000,
  },
  {
    name: "MAIL, of which the server reads nothing",
    server: { at: "reading", extensions: chunking },
    limit: "mail",
    phase: "mail",
    capacity: 300,
    use: send(LARGE.slice(0, 30_000)),
  },
  {
    name: "the reply to a content over LMTP",
    server: { at: "content", protocol: "lmtp" },
    client: { protocol: "lmtp" },
    limit: "end",
    phase: "content",
    outcome: "unknown",
  },
  {
    name: "the reply for the second recipient over LMTP",
    server: { at: "second", protocol: "lmtp" },
    client: { protocol: "lmtp" },
    use: send(TEXT, ["first@mx.test", "second@mx.test"]),
    limit: "end",
    phase: "content",
    outcome: "unknown",
  },
  {
    name: "mail()",
    server: { at: "MAIL" },
    use: steps(() => Promise.resolve()),
    limit: "mail",
    phase: "mail",
  },
  {
    name: "rcpt()",
    server: { at: "RCPT" },
    use: steps((client) => client.rcpt("you@mx.test")),
    limit: "rcpt",
    phase: "rcpt",
  },
  {
    name: "data()",
    server: { at: "DATA" },
    use: steps(async (client) => {
      await client.rcpt("you@mx.test");
      await client.data();
    }),
    limit: "data",
    phase: "data",
  },
  {
    name: "bdat()",
    server: { at: "BDAT", extensions: chunking },
    use: steps(async (client) => {
      await client.rcpt("you@mx.test");
      await client.bdat(bytes);
    }),
    limit: "end",
    phase: "content",
  },
  {
    name: "reset()",
    server: { at: "RSET" },
    use: steps((client) => client.reset()),
    limit: "command",
    phase: "reset",
  },
  {
    name: "sendMail(), the reply to the content",
    server: { at: "content" },
    use: (options) => sendMail(options, ENVELOPE, TEXT),
    limit: "end",
    phase: "content",
    outcome: "unknown",
  },
];

/** Runs on a clock of its own, and looks for what is left. */
async function onClock(
  wire: FaultWire,
  body: (now: () => number) => Promise<unknown>,
): Promise<void> {
  forgetBroken();
  using strays = new Strays();
  strays.listen();
  const clock = new Clock();
  clock.install();
  let failure: unknown;
  try {
    const done = body(() => performance.now()).catch((error) => failure = error);
    assertEquals(await settle(clock, wire, done), true, "it does not end");
    if (failure !== undefined) throw failure;
    const closed = Promise.allSettled([wire.client.close(), wire.server.close(), wire.client.closed]);
    assertEquals(await settle(clock, wire, closed), true, "a socket is left");
    assertEquals(clock.timers, 0, "a timer is left");
  } finally {
    clock.uninstall();
  }
  assertEquals(strays.take(), []);
}

for (const { name, server, client, use = send(), limit, phase, outcome = "not-sent", capacity } of CASES) {
  stall(`SmtpClient gives up ${name} after its limit`, async () => {
    const wire = new FaultWire(capacity === undefined ? {} : { capacity });
    await onClock(wire, async (now) => {
      const served = stallingServer(wire.server, server);
      const started = now();
      const states: string[] = [];
      const error = await use({
        socket: wire.client,
        security: "none",
        clientName: "client.test",
        timeouts: LIMITS,
        trace: (event) => event.type === "state" && states.push(event.state),
        ...client,
      }).then(() => undefined, (error) => error);
      assertEquals(error instanceof SmtpError, true, `${error}`);
      assertEquals(
        [error.code, error.phase, error.outcome, error.temporary, error.usable],
        ["timeout", phase, outcome, true, false],
        error.message,
      );
      assertEquals(now() - started, LIMITS[limit]);
      assertEquals(states.at(-1), "closed");
      wire.client.close();
      await served;
    });
  });
}

stall("SmtpClient.quit() gives up QUIT after its limit, and does not fail", async () => {
  const wire = new FaultWire();
  await onClock(wire, async (now) => {
    const served = stallingServer(wire.server, { at: "QUIT" });
    const client = await SmtpClient.connect({
      socket: wire.client,
      security: "none",
      clientName: "client.test",
      timeouts: LIMITS,
    });
    const started = now();
    await client.quit();
    assertEquals([now() - started, client.usable], [LIMITS.quit, false]);
    await client.closed;
    await served;
  });
});

stall("send() waits for the caller's stream without a limit, and its signal ends that", async () => {
  const wire = new FaultWire();
  await onClock(wire, async () => {
    const served = stallingServer(wire.server, { at: "QUIT" });
    const client = await SmtpClient.connect({
      socket: wire.client,
      security: "none",
      clientName: "client.test",
      timeouts: LIMITS,
    });
    const controller = new AbortController();
    let cancelled: unknown;
    const message = new ReadableStream<string>({
      pull: () => new Promise<void>(() => {}),
      cancel: (reason) => void (cancelled = reason),
    });
    setTimeout(() => controller.abort(new Error("enough")), 3_600_000);
    const error = await client.send(ENVELOPE, message, { signal: controller.signal }).then(
      () => undefined,
      (error) => error,
    );
    assertEquals([error.code, error.outcome, cancelled !== undefined], ["aborted", "not-sent", true]);
    await client.closed;
    await served;
  });
});

/** What a client does before it says nothing more, and after how long our own server ends that. */
const SERVER_CASES: readonly {
  readonly name: string;
  readonly says: readonly string[];
  readonly limit: number;
  /** How the last word begins. */
  readonly word: string;
}[] = [
  { name: "a client that says nothing", says: [], limit: 3_000, word: "421" },
  { name: "half a command", says: ["EHLO client.te"], limit: 3_000, word: "421" },
  { name: "an idle session", says: ["EHLO client.test\r\n"], limit: 3_000, word: "421" },
  {
    name: "an open transaction",
    says: ["EHLO client.test\r\n", "MAIL FROM:<a@b.test>\r\n"],
    limit: 3_000,
    word: "421",
  },
  { name: "a login", says: ["EHLO client.test\r\n", "AUTH LOGIN\r\n"], limit: 3_000, word: "421" },
  {
    name: "a content",
    says: [
      "EHLO client.test\r\n",
      "MAIL FROM:<a@b.test>\r\n",
      "RCPT TO:<c@d.test>\r\n",
      "DATA\r\n",
      "Subject: Hi\r\n\r\nHello\r\n.",
    ],
    limit: 4_000,
    word: "421",
  },
  { name: "the TLS handshake", says: ["EHLO client.test\r\n", "STARTTLS\r\n"], limit: 5_000, word: "220" },
];

for (const { name, says, limit, word } of SERVER_CASES) {
  stall(`serveSocket() gives up ${name} after its limit`, async () => {
    const wire = new FaultWire();
    await onClock(wire, async (now) => {
      let whole = 0;
      const closed = Promise.withResolvers<number>();
      const served = serveSocket(wire.server, {
        serverName: "mx.test",
        allowInsecureAuth: true,
        timeouts: { command: 3_000, data: 4_000, tls: 5_000 },
        onError: () => {},
      }, {
        auth: () => true,
        async message(content) {
          for await (const _ of content);
          whole++;
        },
        close: () => closed.resolve(now()),
      });
      const reader = wire.client.readable.getReader();
      const writer = wire.client.writable.getWriter();
      const decoder = new TextDecoder();
      const hear = async () => decoder.decode((await reader.read()).value);
      let last = await hear();
      for (const [index, text] of says.entries()) {
        await writer.write(new TextEncoder().encode(text));
        if (text.endsWith("\r\n") && (index < says.length - 1 || !text.includes("Subject"))) {
          last = await hear();
        }
      }
      const started = now();
      const ended = await closed.promise;
      if (word === "421") last = await hear();
      assertEquals([ended - started, last.slice(0, 3), whole], [limit, word, 0]);
      await wire.client.close();
      await served;
    });
  });
}
