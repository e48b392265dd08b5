/**
 * BDAT to servers that announce CHUNKING and take the content for commands. A chunk leaves with its command (RFC 3030), so what
 * such a server does with it is decided by what is in it.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createServer, type Socket as NodeSocket } from "node:net";
import type { AddressInfo } from "node:net";
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { unconnected } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { LiteralServer } from "../support/literal_server.ts";
import type { LiteralOptions } from "../support/literal_server.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };

/** Sends a mail of its own where it is read as commands. */
const EXPLOIT = [
  "Subject: Hi",
  "",
  "RSET",
  "MAIL FROM:<ceo@victim.test>",
  "RCPT TO:<staff@victim.test>",
  "DATA",
  "Subject: Pay this",
  "",
  "At once",
  ".",
  "",
].join("\r\n");

/** 74,000 bytes: more than leave in one go. */
const LARGE = `A: ${"x".repeat(69)}\r\n`.repeat(1_000);

/** A client and a server that takes content for commands. */
async function literal(
  options: LiteralOptions,
  body: (client: SmtpClient, server: LiteralServer) => Promise<void>,
  clientOptions: SmtpClientOptions = {},
): Promise<LiteralServer> {
  const [socket, peer] = memorySocketPair({ highWaterMark: 65_536 });
  const server = new LiteralServer(peer, options);
  const client = await SmtpClient.connect({
    socket,
    security: "none",
    clientName: "client.test",
    protocol: options.protocol ?? "smtp",
    ...clientOptions,
  });
  try {
    await body(client, server);
  } finally {
    await client.quit();
    await peer.close().catch(() => {});
    await server.done;
  }
  return server;
}

function streamed(text: string, size = 1_000): ReadableStream<string> {
  const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
  return ReadableStream.from(pieces);
}

for (
  const bdat of [
    "500 What?",
    "502 5.5.1 Unrecognized command",
    "503 BDAT command used when CHUNKING not advertised",
  ] as const
) {
  test(`a body with SMTP commands sends no mail where the server answers BDAT with ${bdat}`, async () => {
    const server = await literal({ bdat }, async (client) => {
      const receipt = await client.send(ENVELOPE, EXPLOIT);
      assertEquals(receipt.reply.text, "taken");
    });
    assertEquals(server.delivered, [{
      from: ENVELOPE.from,
      to: [ENVELOPE.to],
      content: EXPLOIT,
    }]);
    assertEquals(server.said.has("BDAT"), false);
  });
}

for (
  const [how, send] of [
    ["as a stream", (client: SmtpClient) => client.send(ENVELOPE, streamed(EXPLOIT, 10))],
    ["as a Blob", (client: SmtpClient) => client.send(ENVELOPE, new Blob([EXPLOIT]))],
    [
      "in the second chunk of a stream",
      (client: SmtpClient) => client.send(ENVELOPE, streamed(LARGE + EXPLOIT)),
    ],
    [
      "as a large text",
      (client: SmtpClient) => client.send(ENVELOPE, LARGE + EXPLOIT),
    ],
    [
      "where a chunk begins",
      (client: SmtpClient) =>
        client.send(
          ENVELOPE,
          ReadableStream.from([LARGE + "please ", `DATA ${"x".repeat(200)}\r\n`]),
        ),
    ],
    [
      "as BINARYMIME",
      (client: SmtpClient) =>
        client.send({ ...ENVELOPE, body: "binarymime" }, EXPLOIT.replaceAll("\r\n", "\n") + "RSET"),
    ],
    [
      "in bdat()",
      async (client: SmtpClient) => {
        await client.mail(ENVELOPE.from);
        await client.rcpt(ENVELOPE.to);
        await client.bdat(new TextEncoder().encode(EXPLOIT), { last: true });
      },
    ],
    [
      "in the second bdat()",
      async (client: SmtpClient) => {
        await client.mail(ENVELOPE.from);
        await client.rcpt(ENVELOPE.to);
        await client.bdat(new TextEncoder().encode("A: b\r\n"));
        await client.bdat(new TextEncoder().encode(EXPLOIT), { last: true });
      },
    ],
    [
      "behind a message that is in flight",
      async (client: SmtpClient) => {
        const results = [client.send(ENVELOPE, "A: b"), client.send(ENVELOPE, EXPLOIT)];
        await Promise.all(results);
      },
    ],
  ] as const
) {
  test(`a body with SMTP commands executes none ${how} where the server does not know BDAT`, async () => {
    for (const lineEnd of ["crlf", "lf"] as const) {
      const server = await literal({ bdat: "500 What?", lineEnd }, async (client) => {
        const error = await send(client).then(() => undefined, (error) => error);
        assert(error instanceof SmtpError, `${error}`);
        assertEquals([error.outcome, error.temporary, client.usable], ["not-sent", true, false], `${error}`);
      });
      assertEquals(server.delivered, []);
      assertEquals(foreign(server), []);
    }
  });
}

for (const transfer of ["auto", "bdat"] as const) {
  test(`a body with SMTP commands executes none over LMTP with transfer: "${transfer}"`, async () => {
    const server = await literal({ bdat: "500 What?", protocol: "lmtp" }, async (client) => {
      await client.send(ENVELOPE, EXPLOIT).catch(() => {});
    }, { transfer });
    assertEquals(server.delivered.map(({ from }) => from), transfer === "auto" ? [ENVELOPE.from] : []);
    assertEquals(foreign(server), []);
  });
}

/** What was executed that the client has not said. The client writes verbs in capitals, and these addresses and no others. */
function foreign({ executed }: LiteralServer): string[] {
  const own =
    /^((EHLO|LHLO) client\.test|MAIL FROM:<(me|refused)@example\.com>.*|RCPT TO:<(you|refused)@example\.org>|RSET|DATA|QUIT)$/;
  const counts = (verb: string) => executed.filter((line) => line === verb).length;
  const mails = executed.filter((line) => line.startsWith("MAIL")).length;
  return [
    ...executed.filter((line) => !own.test(line)),
    ...(counts("RSET") >= Math.max(mails, 1) ? ["RSET"] : []),
  ];
}

const HELLO = `
  S: 220 mx.test ESMTP
  C: EHLO client.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250 CHUNKING
`;
const QUIT = `
  C: QUIT
  S: 221 Bye
`;
const MAIL = `
  C: MAIL FROM:<me@example.com>
  C: RCPT TO:<you@example.org>
`;
const TAKEN = `
  S: 250 Ok
  S: 250 Ok
  S: 250 taken
`;

unconnected(
  "SmtpClient sends a content with a command by DATA, and by BDAT once a BDAT was answered with 250",
  `${HELLO} ${MAIL}
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go
  C: A: b
  C: RSET
  C: .
  S: 250 taken
  ${MAIL}
  C: BDAT 6 LAST
  C: A: b
  ${TAKEN} ${MAIL}
  C: BDAT 12 LAST
  C: A: b
  C: RSET
  ${TAKEN} ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send(ENVELOPE, "A: b\nRSET");
    await client.send(ENVELOPE, "A: b");
    await client.send(ENVELOPE, "A: b\nRSET");
  },
);

unconnected(
  "SmtpClient asks with what stands ahead of a command when a second content has one",
  `${HELLO} ${MAIL}
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go
  C: A: b
  C: RSET
  C: .
  S: 250 taken
  ${MAIL}
  C: BDAT 6
  C: A: b
  S: 250 Ok
  S: 250 Ok
  S: 250 Go on
  C: BDAT 6 LAST
  C: RSET
  C: RSET
  ${MAIL}
  C: BDAT 12 LAST
  C: A: b
  C: RSET
  S: 250 taken
  S: 250 Reset
  ${TAKEN} ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await Promise.all([1, 2, 3].map(() => client.send(ENVELOPE, "A: b\nRSET")));
  },
);

unconnected(
  "SmtpClient asks with a byte when a content of any bytes begins with a command",
  `${HELLO.replace("250 CHUNKING", "250-BINARYMIME\n  S: 250 CHUNKING")}
  C: MAIL FROM:<me@example.com> BODY=BINARYMIME
  C: RCPT TO:<you@example.org>
  C: BDAT 3
  C: A
  S: 250 Ok
  S: 250 Ok
  S: 250 Go on
  C: BDAT 6 LAST
  C: RSET
  S: 250 taken
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send({ ...ENVELOPE, body: "binarymime" }, "A\r\nRSET\r\n", { missingHeader: "allow" });
  },
);

unconnected(
  "SmtpClient keeps content and QUIT in the group of the envelope when the content has no command",
  `${HELLO} ${MAIL}
  C: BDAT 49 LAST
  C: Subject: A mail from Bob
  C:${" "}
  C: It is no help: data
  C: QUIT
  ${TAKEN}
  S: 221 Bye`.replace("C: \n", "C:\n"),
  async (options) => {
    const client = await SmtpClient.connect(options);
    const sent = client.send(ENVELOPE, "Subject: A mail from Bob\n\nIt is no help: data");
    await Promise.all([sent, client.quit()]);
  },
);

test("SmtpClient.bdat() sends a chunk in two when a line in it could be a command and BDAT is not known to work", async () => {
  const commands: string[] = [];
  const server = await literal({ bdat: "known" }, async (client) => {
    await client.mail(ENVELOPE.from);
    await client.rcpt(ENVELOPE.to);
    await client.bdat(new TextEncoder().encode("A: b\r\nRSET\r\n"));
    await client.bdat(new TextEncoder().encode("QUIT\r\n"), { last: true });
  }, {
    trace: (event) => void (event.type === "command" && commands.push(event.line)),
  });
  assertEquals(server.delivered.map(({ content }) => content), ["A: b\r\nRSET\r\nQUIT\r\n"]);
  assertEquals(commands.filter((line) => line.startsWith("BDAT")), ["BDAT 6", "BDAT 6", "BDAT 6 LAST"]);
});

/** A real connection: what one has shown, the next ones know. */
async function listening(
  body: (connect: () => Promise<SmtpClient>, commands: string[]) => Promise<void>,
): Promise<void> {
  forgetBroken();
  const sockets = new Set<NodeSocket>();
  const commands: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write("220 mx.test\r\n");
    socket.on("data", (data) => {
      const text = data.toString();
      if (text.startsWith("EHLO")) socket.write("250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
      else if (text.startsWith("QUIT")) socket.end("221 Bye\r\n");
      else if (text.includes("BDAT")) socket.write("250 Ok\r\n250 Ok\r\n250 taken\r\n");
      else if (text.includes("DATA")) socket.write("250 Ok\r\n250 Ok\r\n354 Go\r\n");
      else socket.write("250 taken\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const trace: SmtpClientOptions["trace"] = (event) =>
    void (event.type === "command" && commands.push(event.line));
  try {
    await body(
      () => SmtpClient.connect({ hostname: "127.0.0.1", port, security: "none", trace }),
      commands,
    );
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    forgetBroken();
  }
}

test("SmtpClient remembers for the next connections that a server has answered a BDAT with 250", () =>
  listening(async (connect, commands) => {
    await using first = await connect();
    await first.send(ENVELOPE, "A: b\nRSET");
    assertEquals(commands.splice(0).at(-1), "DATA");
    await first.send(ENVELOPE, "A: b");
    commands.length = 0;
    await using second = await connect();
    await second.send(ENVELOPE, "A: b\nRSET");
    assertEquals(commands.at(-1), "BDAT 12 LAST");
  }));

test("SmtpClient asks anew for BDAT after EHLO on a socket of the caller's", async () => {
  const server = await literal({ bdat: "known" }, async (client) => {
    await client.send(ENVELOPE, "A: b");
    await client.ehlo();
    await client.send(ENVELOPE, EXPLOIT);
  });
  assert(server.said.has("DATA"));
  assertEquals(server.delivered.length, 2);
});

for (
  const [what, from, to] of [["MAIL", "refused@example.com", "you"], ["RCPT", "me@example.com", "refused"]]
) {
  test(`a body with SMTP commands sends no mail where ${what} is refused and the server skips no refused chunk`, async () => {
    for (
      const message of [
        () => EXPLOIT,
        () => streamed(EXPLOIT),
        () => EXPLOIT + LARGE,
      ]
    ) {
      const server = await literal({ bdat: "known" }, async (client) => {
        await client.send(ENVELOPE, "A: b");
        const sent = client.send({ from: from!, to: `${to}@example.org` }, message());
        await sent.catch(() => {});
      });
      assertEquals(server.delivered.map(({ from }) => from), ["me@example.com"]);
    }
  });
}

/** In mixed case: the client's own are in capitals. */
const COMMANDS = [
  ...["rset", "Mail From:<ceo@victim.test>", "rCPT tO:<staff@victim.test>", "Data", "quit", "noop", "Helo x"],
  ...[
    "eHLO x",
    "mail from: <a@b>",
    "mail",
    "data shows",
    "help is here",
    "vrfy x",
    "auth plain AA==",
    "starttls",
  ],
  ...["Mailing-List: x", "database", "xclient addr=192.0.2.1", "bdat 5 last", "send from:<a@b>", "."],
];
const AHEAD = [
  "",
  "",
  "",
  " ",
  "\t",
  "\t \t",
  "\ufeff",
  "\u00a0",
  "\u3000 ",
  "\u0001",
  "\u001b",
  "é",
  "x",
  "> ",
];
const LINE_ENDS = [
  "\r\n",
  "\r\n",
  "\r\n",
  "\n",
  "\r",
  "\v",
  "\f",
  "\x1c",
  "\u0085",
  "\u2028",
  "\u2029",
  " ",
  "",
];
const FILLERS = [
  "",
  "",
  "",
  "Subject: Hi",
  "Hello",
  "x".repeat(497),
  "x ".repeat(256),
  "é".repeat(500),
  "x".repeat(2_048),
];

const line = fc.tuple(
  fc.constantFrom(...FILLERS),
  fc.constantFrom(...AHEAD),
  fc.constantFrom("", ...COMMANDS),
  fc.constantFrom(...LINE_ENDS),
).map((parts) => parts.join(""));

const plan = fc.record({
  lines: fc.array(line, { minLength: 1, maxLength: 8 }),
  begins: fc.constantFrom("A: b\r\n", "A: b\r\n", ""),
  large: fc.constantFrom(false, false, false, true),
  how: fc.constantFrom("text", "text", "bytes", "blob", "stream", "binary", "bdat"),
  pieces: fc.constantFrom(1, 7, 1_000, 70_000),
  alone: fc.boolean(),
  progress: fc.boolean(),
});

const cases = fc.record({
  server: fc.record({
    bdat: fc.constantFrom<LiteralOptions["bdat"]>(
      "500 What?",
      "502 5.5.1 What?",
      "503 5.5.1 No",
      "554 No",
      "421 Bye",
    ),
    protocol: fc.constantFrom<"smtp" | "lmtp">("smtp", "smtp", "smtp", "lmtp"),
    pipelining: fc.constantFrom(true, true, true, false),
    lineEnd: fc.constantFrom<LiteralOptions["lineEnd"] & string>("crlf", "lf", "cr or lf", "unicode"),
    cut: fc.constantFrom(512, 1_000, 2_048, 1_000_000),
    skips: fc.constantFrom<LiteralOptions["skips"] & string>("nothing", "blanks", "all that is not visible"),
    verb: fc.constantFrom<LiteralOptions["verb"] & string>("a word", "four letters", "a prefix"),
  }),
  transfer: fc.constantFrom<"auto" | "bdat">("auto", "auto", "bdat"),
  recipients: fc.constantFrom<"some" | "all">("some", "all"),
  plans: fc.array(plan, { minLength: 1, maxLength: 4 }),
}, { noNullPrototype: true });

test("a server that does not know BDAT executes no command of a content, whatever that holds", () =>
  fc.assert(
    fc.asyncProperty(cases, async ({ server: options, transfer, recipients, plans }) => {
      const server = await literal(options, async (client) => {
        const sent: Promise<unknown>[] = [];
        for (const { lines, begins, large, how, pieces, alone, progress } of plans) {
          const text = begins + (large ? LARGE : "") + lines.join("");
          if (how === "bdat") {
            await Promise.allSettled(sent);
            await manually(client, text).catch(() => {});
            continue;
          }
          const envelope = how === "binary" ? { ...ENVELOPE, body: "binarymime" as const } : ENVELOPE;
          const message: Message = how === "bytes" || how === "binary"
            ? new TextEncoder().encode(text)
            : how === "blob"
            ? new Blob([text])
            : how === "stream"
            ? streamed(text, pieces)
            : text;
          const result = client.send(envelope, message, {
            recipients,
            lineLength: "allow",
            missingHeader: "allow",
            ...(progress && { onProgress: () => {} }),
          });
          sent.push(result);
          if (alone) await Promise.allSettled([result]);
        }
        await Promise.allSettled(sent);
      }, { transfer });
      // Every command of the client's is in capitals, every one of a content's is not.
      assertEquals(server.executed.filter((line) => !/^[A-Z]{4,}\b/.test(line)), []);
      for (const { from } of server.delivered) assertEquals(from, ENVELOPE.from);
    }),
    { numRuns: 200, seed: 20_261_127 },
  ));

async function manually(client: SmtpClient, text: string): Promise<void> {
  await client.mail(ENVELOPE.from, { body: "binarymime" });
  await client.rcpt(ENVELOPE.to);
  const bytes = new TextEncoder().encode(text);
  const half = bytes.length >> 1;
  await client.bdat(bytes.subarray(0, half));
  await client.bdat(bytes.subarray(half), { last: true });
}
