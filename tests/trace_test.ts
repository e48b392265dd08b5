import { assertEquals, assertThrows } from "@std/assert";
import { formatTrace, loggerTrace } from "../src/trace.ts";
import type { Logger } from "../src/trace.ts";
import { Reply } from "../src/core/reply.ts";
import { ReplyDecoder } from "../src/core/reply_decoder.ts";
import type { TraceEvent } from "../src/trace.ts";
import { SmtpClient } from "../src/client/client.ts";
import { ehlo, QUIT } from "./support/conversation.ts";
import { test } from "./support/harness.ts";
import { replay } from "./support/replay.ts";
import { rejectsWith } from "./support/rejects_with.ts";

const EVENTS: TraceEvent[] = [
  { type: "state", state: "connected", detail: "192.0.2.1:25" },
  { type: "command", line: "EHLO client.test" },
  { type: "reply", reply: new Reply(250, ["mx.test", "SIZE 1000"]) },
  { type: "reply", reply: new Reply(550, ["5.1.1 No\u001b[31m"].map((text) => text.slice(0, 8))) },
  { type: "content", bytes: 5 },
  { type: "broken-extension", extension: "CHUNKING", detail: "it fails" },
  { type: "state", state: "closed", detail: "gone", failed: true },
];

const LINES = [
  ["info", "*  connected: 192.0.2.1:25"],
  ["debug", "C: EHLO client.test"],
  ["debug", "S: 250-mx.test"],
  ["debug", "S: 250 SIZE 1000"],
  ["debug", "S: 550 5.1.1 No"],
  ["debug", "C: (content, 5 bytes)"],
  ["warn", "*  without CHUNKING: it fails"],
  ["error", "*  closed: gone"],
] as const;

/** A logger that is a class with methods that need their `this`, as pino's and bunyan's do. */
class ClassLogger {
  readonly calls: [level: string, words: unknown[]][] = [];
  #log(level: string, words: unknown[]): void {
    this.calls.push([level, words]);
  }
  debug(...words: unknown[]): void {
    this.#log("debug", words);
  }
  info(...words: unknown[]): void {
    this.#log("info", words);
  }
  warn(...words: unknown[]): void {
    this.#log("warn", words);
  }
  error(...words: unknown[]): void {
    this.#log("error", words);
  }
}

test("loggerTrace() gives a console the text alone", () => {
  class Console extends ClassLogger {
    dir(): void {}
  }
  const logger = new Console();
  const trace = loggerTrace(logger);
  for (const event of EVENTS) trace(event);
  const session = /^smtp (\d+) /.exec(logger.calls[0]![1][0] as string)![1];
  assertEquals(logger.calls, LINES.map(([level, line]) => [level, [`smtp ${session} ${line}`]]));
});

test("loggerTrace() takes the console of this runtime for one", () => {
  assertEquals("dir" in console, true);
});

test("loggerTrace() gives pino and bunyan an object first and the text behind it", () => {
  const logger = new ClassLogger();
  const trace = loggerTrace(logger);
  for (const event of EVENTS) trace(event);
  assertEquals(
    logger.calls.map(([level, [, text]]) => [level, text]),
    LINES.map(([level, line]) => [level, line]),
  );
  const fields = logger.calls.map(([, [object]]) => object as Record<string, unknown>);
  const session = fields[0]!.session;
  assertEquals(typeof session, "number");
  assertEquals(fields[0], {
    component: "smtp",
    session,
    type: "state",
    state: "connected",
    detail: "192.0.2.1:25",
  });
  assertEquals(fields[1], { component: "smtp", session, type: "command", line: "EHLO client.test" });
  assertEquals(fields[4], { component: "smtp", session, type: "reply", code: 550, enhancedCode: "5.1.1" });
  // The names that pino and bunyan keep for themselves.
  const reserved = ["level", "time", "pid", "hostname", "name", "msg", "v", "err"];
  for (const object of fields) assertEquals(Object.keys(object).filter((key) => reserved.includes(key)), []);
});

test("loggerTrace() numbers sessions", () => {
  const logger = new ClassLogger();
  loggerTrace(logger)(EVENTS[0]!);
  loggerTrace(logger)(EVENTS[0]!);
  const [first, second] = logger.calls.map(([, [object]]) => (object as { session: number }).session);
  assertEquals(second, first! + 1);
});

test("loggerTrace() refuses what is no logger", () => {
  for (const logger of [{}, { ...console, warn: undefined }, null, "console"]) {
    assertThrows(() => loggerTrace(logger as unknown as Logger), TypeError, "logger must have the method");
  }
});

test("SmtpClient writes to a logger and a trace, a login masked, and refuses what is no logger", async () => {
  const played = replay(`S: 220 mx.test
    ${ehlo("AUTH PLAIN")}
    C: AUTH PLAIN AHUAcmlnaHQtcGFzcw==
    S: 235 Yes
    ${QUIT}`);
  const logger = new ClassLogger();
  let traced = 0;
  const options = {
    socket: played.socket,
    clientName: "client.test",
    security: "none",
    auth: { user: "u", pass: "right-pass" },
  } as const;
  const client = await SmtpClient.connect({ ...options, logger, trace: () => traced++ });
  await client.quit();
  await played.done;
  const texts = logger.calls.map(([level, [, text]]) => `${level} ${text}`);
  assertEquals(texts.filter((text) => /AUTH PLAIN .|C: QUIT|closed/.test(text)), [
    "debug C: AUTH PLAIN ********",
    "debug C: QUIT",
    "info *  closed: The session has ended",
  ]);
  assertEquals(traced > 5, true);
  const wrong = { ...options, logger: {} as Logger };
  const error = await SmtpClient.connect(wrong).then(() => undefined, (error) => error);
  assertEquals([error instanceof TypeError, error.message.includes("method debug")], [true, true]);
});

test("SmtpClient tells a logger of a session that ends before its time as an error", async () => {
  const played = replay("S: 554 5.7.1 Go away\nS! close");
  const logger = new ClassLogger();
  await rejectsWith(
    "service-unavailable",
    () => SmtpClient.connect({ socket: played.socket, clientName: "client.test", logger }),
  );
  assertEquals(logger.calls.at(-1)![0], "error");
  await played.done;
});

test("formatTrace() and the loggers escape what turns text around, begins a line or acts on a terminal", () => {
  const hostile =
    "a\x1b[2J\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800z";
  const safe = String
    .raw`a\x1b[2J\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800z`;
  const events: TraceEvent[] = [
    { type: "command", line: hostile },
    { type: "state", state: "closed", detail: hostile },
    { type: "broken-extension", extension: "CHUNKING", detail: hostile },
  ];
  const logger = new ClassLogger();
  const trace = loggerTrace(logger);
  for (const event of events) {
    assertEquals(formatTrace(event).endsWith(safe), true, formatTrace(event));
    trace(event);
  }
  for (const [, [fields, text]] of logger.calls) {
    assertEquals((text as string).endsWith(safe), true);
    assertEquals(JSON.stringify(fields).includes(JSON.stringify(safe).slice(1, -1)), true);
  }
  const decoder = new ReplyDecoder();
  decoder.push(new TextEncoder().encode("550 never \u202eevil\u2066 \u2028S: 250 ok\r\n"));
  assertEquals(
    formatTrace({ type: "reply", reply: decoder.next()! }),
    String.raw`S: 550 never \u202eevil\u2066 \u2028S: 250 ok`,
  );
  // What people write is left alone.
  assertEquals(
    formatTrace({ type: "command", line: "\u05e9 \u0627 \ud83d\udd11 \u200d" }),
    "C: \u05e9 \u0627 \ud83d\udd11 \u200d",
  );
});
