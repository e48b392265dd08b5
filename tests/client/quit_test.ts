import { assertEquals, assertMatch } from "@std/assert";
import { createServer } from "node:net";
import type { AddressInfo, Socket as NodeSocket } from "node:net";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import type { SendOptions, SmtpClientOptions } from "../../src/client/options.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { SmtpErrorCode } from "../../src/errors.ts";
import { formatTrace } from "../../src/trace.ts";
import { converseUnconnected, ehlo, hello, QUIT, unconnected } from "../support/conversation.ts";
import { sendMail, test } from "../support/harness.ts";
import { ModelServer, tapped } from "../support/model_server.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const FROM = "me@example.com";
const TO = "you@example.org";
const ENVELOPE = { from: FROM, to: TO };
const BOTH = { from: FROM, to: ["a@b.test", "c@b.test"] };

const FAST = hello("PIPELINING", "CHUNKING");
const GROUP = `C: MAIL FROM:<${FROM}>
  C: RCPT TO:<${TO}>
  C: BDAT 4 LAST
  C: A:
  C: QUIT`;
/** A message under DATA, up to its content. */
const DATA = `C: MAIL FROM:<${FROM}>
  C: RCPT TO:<${TO}>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on`;

unconnected(
  "sendMail() sends QUIT in one group with its message",
  `${FAST}
  ${GROUP}
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok id=1
  S: 221 Bye`,
  async (options) => {
    const receipt = await sendMail(options, ENVELOPE, "A:");
    assertEquals([receipt.accepted, receipt.reply.text], [[TO], "Ok id=1"]);
  },
);

unconnected(
  "SmtpClient.quit() sends QUIT in one group with the last message",
  `${FAST}
  C: MAIL FROM:<${FROM}>
  C: RCPT TO:<${TO}>
  C: BDAT 4 LAST
  C: A:
  C: RSET
  ${GROUP}
  S: 250 Ok
  S: 250 Ok
  S: 552 Too large
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  S: 221 Bye`,
  async (options) => {
    const client = await SmtpClient.connect(options);
    const first = rejectsWith("message-refused", () => client.send(ENVELOPE, "A:"));
    const second = client.send(ENVELOPE, "A:");
    await client.quit();
    assertEquals([(await first).reply?.code, (await second).accepted], [552, [TO]]);
  },
);

for (const message of ["A:", () => ReadableStream.from(["A", ":"])]) {
  unconnected(
    `sendMail() sends QUIT behind the dot of a ${typeof message === "string" ? "text" : "stream"} under DATA`,
    `${hello("PIPELINING")}
    ${DATA}
    C: A:
    C: .
    C: QUIT
    S: 250 Ok
    S: 221 Bye`,
    (options) => sendMail(options, ENVELOPE, message),
  );
}

unconnected(
  "sendMail() sends QUIT behind the last chunk of a stream",
  `${FAST}
  ${GROUP}
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  S: 221 Bye`,
  (options) => sendMail(options, ENVELOPE, ReadableStream.from(["A", ":"])),
);

test("sendMail() writes the message and QUIT at once", async () => {
  for (const chunking of [true, false]) {
    const [socket, peer] = memorySocketPair();
    const server = new ModelServer(peer, { pipelining: true, chunking });
    const writes: string[] = [];
    await sendMail(
      {
        socket: tapped(socket, (bytes) => void writes.push(new TextDecoder().decode(bytes))),
        security: "none",
      },
      ENVELOPE,
      "A:",
    );
    await server.done;
    assertEquals(writes.length, chunking ? 2 : 3);
    assertMatch(writes.at(-1)!, chunking ? /^MAIL[^]*\r\nA:\r\nQUIT\r\n$/ : /^A:\r\n\.\r\nQUIT\r\n$/);
  }
});

unconnected(
  "sendMail() waits for the reply to each command where PIPELINING is not offered",
  `${hello()}
  C: MAIL FROM:<${FROM}>
  S: 250 Ok
  C: RCPT TO:<${TO}>
  S: 250 Ok
  C: DATA
  S: 354 Go on
  C: A:
  C: .
  S: 250 Ok
  ${QUIT}`,
  (options) => sendMail(options, ENVELOPE, "A:"),
);

unconnected(
  'sendMail() keeps a message back from a refused recipient where recipients is "all"',
  `${FAST}
  C: MAIL FROM:<${FROM}>
  C: RCPT TO:<a@b.test>
  C: RCPT TO:<c@b.test>
  S: 250 Ok
  S: 250 Ok
  S: 550 No such user
  ${QUIT}`,
  async (options) => {
    const error = await rejectsWith(
      "recipients-refused",
      () => sendMail({ ...options, recipients: "all" }, BOTH, "A:"),
    );
    assertEquals([error.outcome, error.rejected.length], ["refused", 1]);
  },
);

unconnected(
  'sendMail() sends QUIT behind the content that waited for the recipients, where recipients is "all"',
  `${FAST}
  C: MAIL FROM:<${FROM}>
  C: RCPT TO:<a@b.test>
  C: RCPT TO:<c@b.test>
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  C: BDAT 4 LAST
  C: A:
  C: QUIT
  S: 250 Ok
  S: 221 Bye`,
  (options) => sendMail({ ...options, recipients: "all" }, BOTH, "A:"),
);

for (
  const [what, replies, code] of [
    ["the sender", ["550 No", "503 No MAIL", "503 No MAIL"], "sender-refused"],
    ["the recipient", ["250 Ok", "550 No", "503 No recipient"], "recipients-refused"],
    ["the content", ["250 Ok", "250 Ok", "554 No"], "message-refused"],
  ] as const
) {
  unconnected(
    `sendMail() reports that ${what} is refused, with QUIT behind it`,
    `${FAST}
    ${GROUP}
    ${replies.map((reply) => `S: ${reply}`).join("\n")}
    S: 221 Bye`,
    async (options) => {
      const error = await rejectsWith(code, () => sendMail(options, ENVELOPE, "A:"));
      assertEquals(error.outcome, "refused");
    },
  );
}

unconnected(
  "sendMail() sends QUIT behind the content over LMTP, which has a reply for each recipient",
  `S: 220 mx.test
  C: LHLO client.test
  S: 250-mx.test
  S: 250 PIPELINING
  C: MAIL FROM:<${FROM}>
  C: RCPT TO:<a@b.test>
  C: RCPT TO:<c@b.test>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: A:
  C: .
  C: QUIT
  S: 250 Ok
  S: 552 Mailbox full
  S: 221 Bye`,
  async ({ socket, ...options }) => {
    const receipt = await sendMail({ ...options, socket: () => socket, protocol: "lmtp" }, BOTH, "A:");
    assertEquals([receipt.accepted, receipt.rejected.map(({ reply }) => reply?.code)], [["a@b.test"], [552]]);
  },
);

for (
  const [what, end, ...found] of [
    [
      "refuses QUIT",
      "S: 503 Talked ahead",
      "*  without PIPELINING of QUIT: the server answers it after a content with 503 Talked ahead",
    ],
    ["hangs up instead of an answer to QUIT", "S! close"],
    ["resets the connection instead of an answer to QUIT", "S! reset"],
    ["says 421 to QUIT", "S: 421 Closing"],
  ]
) {
  unconnected(
    `sendMail() has its receipt though the server ${what}`,
    `${FAST}
    ${GROUP}
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${end}`,
    async (options) => {
      const traced: string[] = [];
      const trace: SmtpClientOptions["trace"] = (event) => void traced.push(formatTrace(event));
      assertEquals((await sendMail({ ...options, trace }, ENVELOPE, "A:")).accepted, [TO]);
      assertEquals(traced.filter((line) => line.includes("without")), found);
    },
  );
}

test("sendMail() does not take a 221 that comes before the reply to the content for a receipt", () =>
  converseUnconnected(
    `${FAST}
    ${GROUP}
    S: 250 Ok
    S: 250 Ok
    S: 221 Bye`,
    async (options) => {
      const error = await rejectsWith("protocol-error", () => sendMail(options, ENVELOPE, "A:"));
      assertEquals(error.outcome, "unknown");
    },
  ));

test("SmtpClient.quit() waits for a message that may need another transaction", () =>
  converseUnconnected(
    `${FAST}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<a@b.test>
    C: RCPT TO:<c@b.test>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 452 4.5.3 Too many recipients
    S: 250 Ok
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<c@b.test>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect(options);
      const sent = client.send(BOTH, "A:");
      await client.quit();
      assertEquals([(await sent).accepted, (await sent).parts.length], [["a@b.test", "c@b.test"], 2]);
    },
  ));

test("sendMail() waits with QUIT for a message that may need another transaction on a socket that opens once", () =>
  converseUnconnected(
    `${FAST}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<a@b.test>
    C: RCPT TO:<c@b.test>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    (options) => sendMail(options, BOTH, "A:"),
  ));

test("SmtpClient.quit() waits for a stream that is gathered for several transactions", () =>
  converseUnconnected(
    `${hello("LIMITS RCPTMAX=1")}
    C: MAIL FROM:<${FROM}>
    S: 250 Ok
    C: RCPT TO:<a@b.test>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    C: MAIL FROM:<${FROM}>
    S: 250 Ok
    C: RCPT TO:<c@b.test>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: A:
    C: .
    S: 250 Ok
    ${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect(options);
      const sent = client.send(BOTH, ReadableStream.from(["A:"]));
      await client.quit();
      assertEquals((await sent).accepted, BOTH.to);
    },
  ));

test("sendMail() says QUIT although the message cannot be sent", () =>
  converseUnconnected(
    `${FAST}
    ${QUIT}`,
    (options) => rejectsWith("invalid-message", () => sendMail(options, ENVELOPE, "a\0")),
  ));

test("sendMail() says QUIT behind a message that is given up within BDAT", () =>
  converseUnconnected(
    `${FAST}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<${TO}>
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (options) => {
      const broken = new ReadableStream<string>({
        start: (controller) => controller.error(new Error("disk")),
      });
      const error = await rejectsWith("source-failed", () => sendMail(options, ENVELOPE, broken));
      assertEquals(error.outcome, "not-sent");
    },
  ));

test("sendMail() ends at once when it is aborted with QUIT under way", () =>
  converseUnconnected(
    `${FAST}
    ${GROUP}
    S! reset`,
    async (options, { heard }) => {
      const controller = new AbortController();
      const sent = sendMail({ ...options, signal: controller.signal }, ENVELOPE, "A:");
      const failed = rejectsWith("aborted", () => sent);
      await heard;
      controller.abort();
      assertEquals((await failed).outcome, "unknown");
    },
  ));

/** A server that fails at QUIT, and a way to send to it. */
interface Flawed {
  /** Sends one message, and returns what was {@linkcode heard}. */
  send: (options?: SmtpClientOptions & SendOptions, message?: Message) => Promise<string[][]>;
  /** What the server has read after EHLO for the last message, in each of its reads, on each connection. */
  heard: () => string[][];
  /** What the traces have said. */
  readonly trace: string[];
}

/** Answers what comes after EHLO, and after each 354 the content. */
type Answer = (heard: string, socket: NodeSocket) => string | undefined;

async function flawed(answer: Answer, body: (server: Flawed) => Promise<void>): Promise<void> {
  forgetBroken();
  const sockets = new Set<NodeSocket>();
  let heard: string[][] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    const index = heard.push([]) - 1;
    socket.on("error", () => {});
    socket.write("220 mx.test\r\n");
    socket.on("data", (data) => {
      const text = data.toString();
      if (text.startsWith("EHLO")) {
        socket.write("250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
        return;
      }
      heard[index]!.push(text.replaceAll("\r\n", "|"));
      if (text === "QUIT\r\n") socket.end("221 Bye\r\n");
      else socket.write(answer(text, socket)?.replaceAll("|", "\r\n") ?? "");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const trace: string[] = [];
  try {
    await body({
      async send(options = {}, message = "A:") {
        heard = [];
        await sendMail(
          {
            hostname: "127.0.0.1",
            port,
            security: "none",
            trace: (event) => trace.push(formatTrace(event)),
            ...options,
          },
          ENVELOPE,
          message,
        );
        return heard;
      },
      heard: () => heard,
      trace,
    });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    forgetBroken();
  }
}

const ENVELOPE_LINES = `MAIL FROM:<${FROM}>|RCPT TO:<${TO}>|`;
const MESSAGE = `${ENVELOPE_LINES}BDAT 4 LAST|A:|`;
const TOGETHER = [`${MESSAGE}QUIT|`];
const APART = [MESSAGE, "QUIT|"];

for (
  const [what, answer, code] of [
    ["hangs up", (_, socket) => void socket.end("250 Ok\r\n250 Ok\r\n"), "connection-lost"],
    ["answers it first", () => "250 Ok|250 Ok|221 Bye|", "protocol-error"],
  ] as [string, Answer, SmtpErrorCode][]
) {
  test(`sendMail() says QUIT alone the next time where a server ${what} when it comes with the content`, () =>
    flawed(
      (heard, socket) => heard.includes("QUIT") ? answer(heard, socket) : "250 Ok|250 Ok|250 Ok|",
      async ({ send, trace }) => {
        assertEquals((await rejectsWith(code, () => send())).outcome, "unknown");
        assertMatch(trace.join("\n"), /without PIPELINING of QUIT: it was not answered after a content/);
        assertEquals(await send(), [APART]);
      },
    ));
}

test("sendMail() says QUIT alone the next time where a server forgets it after a content", () =>
  flawed(() => "250 Ok|250 Ok|250 Ok|", async ({ send }) => {
    assertEquals(await send({ timeouts: { quit: 1 } }), [TOGETHER]);
    assertEquals(await send(), [APART]);
  }));

test("sendMail() sends once more, with QUIT alone, where a server refuses a content with QUIT behind it", () =>
  flawed(
    (heard) => heard.includes("QUIT") ? "250 Ok|250 Ok|503 Talked ahead|221 Bye|" : "250 Ok|250 Ok|250 Ok|",
    async ({ send }) => assertEquals(await send(), [TOGETHER, APART]),
  ));

test("sendMail() sends nothing once more that a server refuses for itself, whatever it says to QUIT", () =>
  flawed(() => "250 Ok|250 Ok|554 Spam|503 Talked ahead|", async ({ send, heard }) => {
    const error = await rejectsWith("message-refused", () => send());
    assertEquals([error.outcome, heard()], ["refused", [TOGETHER]]);
  }));

test("sendMail() sends once more, by DATA, where a server does not know BDAT", () =>
  flawed((heard) => {
    if (heard.includes("BDAT")) return "250 Ok|250 Ok|500 What?|500 What?|221 Bye|";
    return heard.startsWith("MAIL") ? "250 Ok|250 Ok|354 Go on|" : "250 Ok|221 Bye|";
  }, async ({ send }) => {
    const byData = [`${ENVELOPE_LINES}DATA|`, "A:|.|QUIT|"];
    const stream = () => ReadableStream.from(["A:"]);
    assertEquals(await send(), [TOGETHER, byData]);
    assertEquals(await send({}, stream()), [byData]); // known by now
    forgetBroken();
    const error = await rejectsWith("protocol-error", () => send({}, stream())); // it cannot be read twice
    assertEquals([error.outcome, error.temporary], ["not-sent", true]);
  }));

/** A session that takes one recipient of two, and has heard QUIT by then. */
function tooManyFor(ehlo: string, parameters: string): string {
  return `${ehlo}
    C: MAIL FROM:<${FROM}>${parameters}
    C: RCPT TO:<a@b.test>
    C: RCPT TO:<c@b.test>
    C: BDAT 4 LAST
    C: A:
    C: QUIT
    S: 250 Ok
    S: 250 Ok
    S: 452 4.5.3 Too many recipients
    S: 250 Ok
    S: 221 Bye`;
}

test("sendMail() takes another connection for recipients that were too many", async () => {
  const scripts = [
    tooManyFor(FAST, ""),
    `${FAST}
    C: MAIL FROM:<${FROM}>
    C: RCPT TO:<c@b.test>
    C: BDAT 4 LAST
    C: A:
    C: QUIT
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 221 Bye`,
  ];
  const played: Promise<void>[] = [];
  const receipt = await sendMail(
    {
      clientName: "client.test",
      security: "none",
      socket: () => {
        const { socket, done } = replay(scripts.shift()!);
        played.push(done);
        return socket;
      },
    },
    BOTH,
    "A:",
  );
  assertEquals([receipt.accepted, receipt.rejected, receipt.parts.length], [BOTH.to, [], 2]);
  assertEquals((await Promise.all(played)).length, 2);
});

for (
  const [what, first, second, parameters] of [
    [
      "is not protected",
      `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 Go on\nS! tls\n${
        ehlo("PIPELINING", "CHUNKING", "REQUIRETLS")
      }`,
      hello("PIPELINING", "CHUNKING", "REQUIRETLS"),
      " REQUIRETLS",
    ],
    ["offers less", hello("PIPELINING", "CHUNKING", "DSN"), hello("PIPELINING", "CHUNKING"), ""],
  ] as const
) {
  test(`sendMail() does not send the rest of a message over a connection that ${what}`, async () => {
    const scripts = [tooManyFor(first, parameters), `${second}\n${QUIT}`];
    const played: Promise<void>[] = [];
    const error = await rejectsWith("extension-missing", () =>
      sendMail(
        {
          clientName: "client.test",
          security: "opportunistic",
          tls: { serverName: "mx.test" },
          socket: () => {
            const { socket, done } = replay(scripts.shift()!);
            played.push(done);
            return socket;
          },
        },
        { ...BOTH, ...parameters !== "" && { requireTls: true } },
        "A:",
      ));
    assertEquals([error.outcome, error.accepted, error.temporary], ["not-sent", ["a@b.test"], true]);
    assertEquals((await Promise.all(played)).length, 2);
  });
}

test("sendMail() tells who has the message where the other connection cannot be opened", async () => {
  let opened = 0;
  const { socket, done } = replay(tooManyFor(FAST, ""));
  const error = await rejectsWith("network", () =>
    sendMail(
      {
        clientName: "client.test",
        security: "none",
        socket: () => {
          if (opened++ > 0) throw new Error("no more");
          return socket;
        },
      },
      BOTH,
      "A:",
    ));
  assertEquals([error.outcome, error.accepted, error.temporary], ["not-sent", ["a@b.test"], true]);
  await done;
});
