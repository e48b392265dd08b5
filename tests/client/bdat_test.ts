import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { TraceEvent } from "../../src/trace.ts";
import { unconnected } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { ModelServer, recipient, sender, tapped } from "../support/model_server.ts";
import type { ModelOptions } from "../support/model_server.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const OK = { mail: 250, data: 354, chunk: 250, final: 250 };
const GOOD = { from: sender("s", OK), to: recipient("r", 250) };

/** 70 bytes with its line end: 1,000 of them are a chunk of their own. */
const LINE = `X:${"x".repeat(66)}`;
const CHUNK = `${LINE}\r\n`.repeat(1_000);
const CHUNK_LINES = `C: ${LINE}\n`.repeat(1_000);

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

/** A client and a model of a server. */
async function modelled(
  options: ModelOptions,
  body: (client: SmtpClient, server: ModelServer) => Promise<void>,
  clientOptions: SmtpClientOptions = {},
  highWaterMark = 65_536,
): Promise<ModelServer> {
  const [socket, peer] = memorySocketPair({ highWaterMark });
  const server = new ModelServer(peer, { pipelining: true, chunking: true, ...options });
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
  assertEquals(server.violations, []);
  return server;
}

function reasons(results: PromiseSettledResult<unknown>[]): (string | undefined)[] {
  return results.map((result) => {
    if (result.status === "fulfilled") return "taken";
    assertInstanceOf(result.reason, SmtpError);
    return `${result.reason.code} ${result.reason.outcome}`;
  });
}

unconnected(
  "SmtpClient sends whole BDAT transactions one behind the other, in one write",
  `${HELLO}
  ${MAIL}
  C: BDAT 5 LAST
  C: A:1
  C: RSET
  C: MAIL FROM:<>
  C: RCPT TO:<her@example.org>
  C: RCPT TO:<him@example.org>
  C: BDAT 0 LAST
  C: RSET
  ${MAIL}
  C: BDAT 7 LAST
  C: A:003
  S: 250 Ok
  S: 250 Ok
  S: 250 first
  S: 250 Reset
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
  S: 250 second
  S: 250 Reset
  S: 250 Ok
  S: 250 Ok
  S: 250 third
  ${QUIT}`,
  async (options) => {
    const writes: Uint8Array[] = [];
    const socket = tapped(options.socket, (bytes) => writes.push(bytes));
    await using client = await SmtpClient.connect({ ...options, socket });
    const receipts = await Promise.all([
      client.send(ENVELOPE, "A:1"),
      client.send({ from: null, to: ["her@example.org", "him@example.org"] }, "", { missingHeader: "allow" }),
      client.send(ENVELOPE, "A:003\r\n"),
    ]);
    assertEquals(receipts.map(({ reply }) => reply.text), ["first", "second", "third"]);
    assertEquals(receipts[1]!.accepted, ["her@example.org", "him@example.org"]);
    assertEquals(writes.length, 2); // EHLO, and all the rest
  },
);

unconnected(
  "SmtpClient says no RSET behind a BDAT that is known to be accepted",
  `${HELLO} ${MAIL}
  C: BDAT 5 LAST
  C: A:1
  ${TAKEN} ${MAIL}
  C: BDAT 5 LAST
  C: A:2
  ${TAKEN} ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send(ENVELOPE, "A:1");
    await client.send(ENVELOPE, "A:2");
  },
);

unconnected(
  "SmtpClient sends no dots twice under BDAT",
  `${HELLO} ${MAIL}
  C: BDAT 14 LAST
  C: .
  C: ..dot
  C: .
  C: \n${TAKEN} ${QUIT}`.replace("BDAT 14", "BDAT 15").replace("C: \n", "C: \n"),
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await client.send(ENVELOPE, ".\n..dot\r\n.\r\n\n", { missingHeader: "allow" });
  },
);

for (
  const [what, replies, code, phase] of [
    ["MAIL", ["550 no", "503 need MAIL", "503 need MAIL"], "sender-refused", "mail"],
    ["RCPT", ["250 Ok", "550 no", "554 nobody"], "recipients-refused", "rcpt"],
    ["BDAT", ["250 Ok", "250 Ok", "554 no"], "message-refused", "content"],
  ] as const
) {
  unconnected(
    `SmtpClient gives each transaction its own replies when ${what} of the first in flight is refused`,
    `${HELLO}
    C: MAIL FROM:<first@example.com>
    C: RCPT TO:<you@example.org>
    C: BDAT 5 LAST
    C: A:1
    C: RSET
    ${MAIL}
    C: BDAT 5 LAST
    C: A:2
    ${replies.map((reply) => `S: ${reply}`).join("\n")}
    S: 250 Reset
    ${TAKEN} ${QUIT}`,
    async (options) => {
      await using client = await SmtpClient.connect(options);
      const [error, receipt] = await Promise.all([
        rejectsWith(code, () => client.send({ from: "first@example.com", to: "you@example.org" }, "A:1")),
        client.send(ENVELOPE, "A:2"),
      ]);
      assertEquals([error.outcome, error.phase, error.usable], ["refused", phase, true]);
      assertEquals(receipt.reply.text, "taken");
    },
  );
}

unconnected(
  "SmtpClient begins with RSET behind a BDAT that is known to be refused",
  `${HELLO} ${MAIL}
  C: BDAT 5 LAST
  C: A:1
  S: 250 Ok
  S: 250 Ok
  S: 554 no
  C: RSET
  ${MAIL}
  C: BDAT 5 LAST
  C: A:2
  S: 250 Reset
  ${TAKEN} ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    await rejectsWith("message-refused", () => client.send(ENVELOPE, "A:1"));
    await client.send(ENVELOPE, "A:2");
  },
);

unconnected(
  "SmtpClient sends a stream in chunks, and gathers small pieces",
  `${HELLO} ${MAIL}
  C: BDAT 70000
  ${CHUNK_LINES}
  C: BDAT 70006
  C: abcd
  ${CHUNK_LINES}
  C: BDAT 5 LAST
  C: end
  S: 250 Ok
  S: 250 Ok
  S: 250 chunk
  S: 250 chunk
  S: 250 taken
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const pieces = [CHUNK, "a", "bc", "", "d\n", CHUNK, "en", "d"];
    const receipt = await client.send(ENVELOPE, ReadableStream.from(pieces));
    assertEquals(receipt.reply.text, "taken");
  },
);

unconnected(
  "SmtpClient goes on when a send is aborted between two chunks",
  `${HELLO} ${MAIL}
  C: BDAT 70000
  ${CHUNK_LINES}
  S: 250 Ok
  S: 250 Ok
  S: 250 chunk
  C: RSET
  ${MAIL}
  C: BDAT 5 LAST
  C: A:2
  S: 250 Reset
  ${TAKEN} ${QUIT}`,
  async (options) => {
    const answered = Promise.withResolvers<void>();
    const trace = (event: TraceEvent) => {
      if (event.type === "reply" && event.reply.text === "chunk") answered.resolve();
    };
    await using client = await SmtpClient.connect({ ...options, trace });
    const controller = new AbortController();
    let cancelled: unknown;
    const stream = new ReadableStream<string>({
      start: (source) => source.enqueue(CHUNK),
      cancel: (reason) => void (cancelled = reason),
    });
    const sent = client.send(ENVELOPE, stream, { signal: controller.signal });
    await answered.promise;
    controller.abort(new Error("enough"));
    const error = await rejectsWith("aborted", () => sent);
    assertEquals([error.outcome, error.usable, cancelled], ["not-sent", true, error]);
    assertEquals((await client.send(ENVELOPE, "A:2")).reply.text, "taken");
  },
);

test("SmtpClient brings a chunk to its end when a send is aborted in the middle of it, and goes on", async () => {
  const server = await modelled(
    {},
    async (client, server) => {
      const controller = new AbortController();
      server.onReceived = (total) => {
        if (total > 5_000) controller.abort();
      };
      const stream = ReadableStream.from([CHUNK, "never"]);
      const [aborted, other] = await Promise.allSettled([
        client.send(GOOD, stream, { signal: controller.signal }),
        client.send(GOOD, "A:2"),
      ]);
      assertEquals(reasons([aborted, other]), ["aborted not-sent", "taken"]);
      assertEquals((aborted as PromiseRejectedResult).reason.usable, true);
      server.onReceived = undefined;
    },
    {},
    1_000,
  );
  assertEquals(server.delivered.map(({ content }) => content), ["A:2\r\n"]);
});

for (const pieces of [[], ["A:1\n"], [CHUNK], [CHUNK, "more"]]) {
  test(`SmtpClient goes on when a source fails behind ${pieces.join("").length} characters`, async () => {
    const server = await modelled({}, async (client) => {
      const cause = new Error("disk on fire");
      async function* failing() {
        yield* pieces;
        throw cause;
      }
      const [failed, other] = await Promise.allSettled([
        client.send(GOOD, failing()),
        client.send(GOOD, "A:2"),
      ]);
      assertEquals(reasons([failed, other]), ["source-failed not-sent", "taken"]);
      const { reason } = failed as PromiseRejectedResult;
      assertEquals([reason.usable, reason.cause], [true, cause]);
    });
    assertEquals(server.delivered.map(({ content }) => content), ["A:2\r\n"]);
  });
}

for (
  const [what, envelope, code] of [
    ["its sender", { from: sender("s", { ...OK, mail: 550 }), to: recipient("r", 250) }, "sender-refused"],
    ["its recipients", { from: sender("s", OK), to: recipient("r", 550) }, "recipients-refused"],
    [
      "a chunk of it",
      { from: sender("s", { ...OK, chunk: 552 }), to: recipient("r", 250) },
      "message-refused",
    ],
  ] as const
) {
  test(`SmtpClient stops reading a stream when the server has refused ${what}, and goes on`, async () => {
    const server = await modelled({}, async (client) => {
      let pulled = 0;
      let cancelled = false;
      const endless = new ReadableStream<Uint8Array>({
        pull(source) {
          // A turn of the event loop each: the reply has time to come.
          source.enqueue(new TextEncoder().encode(`${LINE}\r\n`.repeat(1000)));
          if (++pulled > 1_000) source.error(new Error("Read on and on"));
        },
        cancel: () => void (cancelled = true),
      }, { highWaterMark: 0 });
      const error = await rejectsWith(code, () => client.send(envelope, endless));
      assertEquals([error.outcome, error.usable, cancelled], ["refused", true, true]);
      assert(pulled < 100, `${pulled} pieces were read`);
      await client.send(GOOD, "A:2");
    });
    assertEquals(server.delivered.map(({ content }) => content), ["A:2\r\n"]);
  });
}

test('SmtpClient with transfer: "bdat" says nothing at all to a server without CHUNKING', async () => {
  let received = 0;
  await modelled({ chunking: false }, async (client, server) => {
    server.onReceived = (total) => received = total;
    let cancelled = false;
    const stream = new ReadableStream({ cancel: () => void (cancelled = true) });
    const error = await rejectsWith("extension-missing", () => client.send(GOOD, stream));
    assertEquals([error.outcome, error.usable, cancelled, received], ["not-sent", true, true, 0]);
  }, { transfer: "bdat" });
});

test('SmtpClient with transfer: "bdat" goes chunk by chunk where the server does not pipeline', async () => {
  const server = await modelled({ pipelining: false }, async (client) => {
    const receipts = await Promise.all([
      client.send(GOOD, ReadableStream.from([CHUNK, CHUNK, "end"])),
      client.send(GOOD, "A:2"),
    ]);
    assertEquals(receipts.map(({ reply }) => reply.code), [250, 250]);
  }, { transfer: "bdat" });
  assertEquals(server.delivered.map(({ content }) => content), [`${CHUNK}${CHUNK}end\r\n`, "A:2\r\n"]);
});

test('SmtpClient with transfer: "data" says no BDAT', async () => {
  const server = await modelled({}, async (client) => {
    await Promise.all([client.send(GOOD, "A:1"), client.send(GOOD, "A:2")]);
  }, { transfer: "data" });
  assertEquals([server.dataCommands, server.delivered.length], [true, 2]);
});

unconnected(
  "SmtpClient takes what stands behind a 421 in the middle for not sent",
  `${HELLO} ${MAIL}
  C: BDAT 5 LAST
  C: A:1
  C: RSET
  ${MAIL}
  C: BDAT 5 LAST
  C: A:2
  C: RSET
  ${MAIL}
  C: BDAT 7 LAST
  C: A:003
  ${TAKEN}
  S: 250 Reset
  S: 250 Ok
  S: 421 4.3.2 shutting down`,
  async (options) => {
    await using client = await SmtpClient.connect(options);
    const results = await Promise.allSettled(
      ["A:1", "A:2", "A:003"].map((m) => client.send(ENVELOPE, m)),
    );
    const closed = "service-unavailable not-sent";
    assertEquals(reasons(results), ["taken", closed, closed]);
    assertEquals(client.usable, false);
  },
);

for (const how of ["close", "reset"]) {
  unconnected(
    `SmtpClient says unknown of those in flight whose content was handed over, and of no other (${how})`,
    `${HELLO} ${MAIL}
    C: BDAT 5 LAST
    C: A:1
    C: RSET
    ${MAIL}
    C: BDAT 5 LAST
    C: A:2
    C: RSET
    C: MAIL FROM:<me@example.com>
    C: RCPT TO:<nobody@example.org>
    C: BDAT 7 LAST
    C: A:003
    C: RSET
    ${MAIL}
    C: BDAT 70000
    ${CHUNK_LINES}
    ${TAKEN}
    S: 250 Reset
    S: 250 Ok
    S! ${how}`,
    async (options, { heard }) => {
      const client = await SmtpClient.connect(options);
      const stuck = new ReadableStream<string>({ start: (source) => source.enqueue(CHUNK) });
      const results = Promise.allSettled([
        client.send(ENVELOPE, "A:1"),
        client.send(ENVELOPE, "A:2"),
        client.send({ from: "me@example.com", to: "nobody@example.org" }, "A:003"),
        client.send(ENVELOPE, stuck),
        client.send(ENVELOPE, "A:5"),
      ]);
      await heard;
      const lost = how === "close" ? "connection-lost" : "connection-reset";
      const [first, ...others] = reasons(await results);
      // A reset may take with it what was said before.
      assert(first === "taken" || (how === "reset" && first === `${lost} unknown`), first);
      assertEquals(others, [`${lost} unknown`, `${lost} unknown`, `${lost} not-sent`, `${lost} not-sent`]);
      await client.quit();
    },
  );
}

const LMTP_HELLO = HELLO.replace("EHLO", "LHLO");
const TWO = { from: "me@example.com", to: ["a@example.org", "b@example.org"] };
const LMTP_MAIL = `
  C: MAIL FROM:<me@example.com>
  C: RCPT TO:<a@example.org>
  C: RCPT TO:<b@example.org>
  S: 250 Ok
  S: 250 Ok
  S: 250 Ok
`;

unconnected(
  "SmtpClient over LMTP has a word of the server's for each recipient",
  `${LMTP_HELLO} ${LMTP_MAIL}
  C: BDAT 5 LAST
  C: A:1
  S: 250 first
  S: 452 full
  ${QUIT}`,
  async (options) => {
    await using client = await SmtpClient.connect({ ...options, protocol: "lmtp", transfer: "bdat" });
    const receipt = await client.send(TWO, "A:1");
    assertEquals(receipt.accepted, ["a@example.org"]);
    assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]), [[
      "b@example.org",
      452,
    ]]);
  },
);

unconnected(
  "SmtpClient over LMTP takes a 421 for those that are left, and no one else (RFC 2033)",
  `${LMTP_HELLO} ${LMTP_MAIL.replaceAll("  C: RCPT TO:<b", "  C: RCPT TO:<z@example.org>\n  C: RCPT TO:<b")}
  S: 250 Ok
  C: BDAT 5 LAST
  C: A:1
  S: 250 first
  S: 421 closing`,
  async (options) => {
    await using client = await SmtpClient.connect({ ...options, protocol: "lmtp", transfer: "bdat" });
    const receipt = await client.send(
      { ...TWO, to: ["a@example.org", "z@example.org", "b@example.org"] },
      "A:1",
    );
    assertEquals(receipt.accepted, ["a@example.org"]);
    assertEquals(receipt.rejected.map(({ reply }) => reply?.code), [421, 421]);
    assertEquals(client.usable, false);
  },
);

test("SmtpClient over LMTP survives a BDAT LAST without a reply: with nobody to deliver to there is none (RFC 2033)", async () => {
  const server = await modelled({ protocol: "lmtp", family: "dovecot" }, async (client) => {
    const results = await Promise.allSettled([
      client.send({ from: sender("s", OK), to: recipient("r", 550) }, "A:1"),
      client.send(GOOD, "A:2"),
    ]);
    assertEquals(reasons(results), ["recipients-refused refused", "taken"]);
  }, { timeouts: { end: 500 }, transfer: "bdat" });
  assertEquals(server.delivered.map(({ content }) => content), ["A:2\r\n"]);
});

test("SmtpClient over LMTP keeps replies and recipients together when a chunk is refused", async () => {
  const server = await modelled({ protocol: "lmtp", family: "dovecot" }, async (client) => {
    const envelope = {
      from: sender("s", { ...OK, chunk: 552 }),
      to: [recipient("a", 250), recipient("b", 250)],
    };
    const results = await Promise.allSettled([client.send(envelope, CHUNK), client.send(GOOD, "A:2")]);
    assertEquals(reasons(results), ["message-refused refused", "taken"]);
  }, { timeouts: { end: 500 }, transfer: "bdat" });
  assertEquals(server.delivered.map(({ content }) => content), ["A:2\r\n"]);
});

test("SmtpClient begins with RSET behind a refused MAIL and its BDAT: Dovecot refuses every other BDAT until then", async () => {
  for (const family of ["dovecot", "strict"] as const) {
    const server = await modelled({ family }, async (client) => {
      await rejectsWith(
        "sender-refused",
        () => client.send({ from: sender("s", { ...OK, mail: 550 }), to: recipient("r", 250) }, "A:1"),
      );
      await client.send(GOOD, "A:2");
    });
    assertEquals(server.delivered.length, 1);
  }
});

test("SmtpClient waits for the reply to RSET where the server does not pipeline", async () => {
  await modelled({ pipelining: false }, async (client) => {
    await rejectsWith(
      "recipients-refused",
      () => client.send({ from: sender("s", OK), to: recipient("r", 550) }, "A:1"),
    );
    await client.send(GOOD, "A:2");
  });
});

test("SmtpClient on Exim lets no message join a transaction that was refused", async () => {
  const server = await modelled({ family: "exim" }, async (client) => {
    const results = await Promise.allSettled([
      client.send({ from: sender("first", OK), to: recipient("r", 550) }, "A:1"),
      client.send({ from: sender("second", OK), to: recipient("r", 250) }, "A:2"),
    ]);
    assertEquals(reasons(results), ["recipients-refused refused", "taken"]);
  });
  assertEquals(server.delivered.map(({ from, content }) => [from, content]), [[
    sender("second", OK),
    "A:2\r\n",
  ]]);
});

test("SmtpClient on Exim lets no message join a transaction that was begun with single commands", async () => {
  const server = await modelled({ family: "exim" }, async (client) => {
    await client.command(`MAIL FROM:<${sender("evil", OK)}>`);
    await client.command(`RCPT TO:<${recipient("evil", 250)}>`);
    await client.send(GOOD, "A:1");
  });
  assertEquals(server.delivered, [{ from: GOOD.from, to: [GOOD.to], content: "A:1\r\n" }]);
});

for (const transfer of ["bdat", "data"] as const) {
  for (const kind of ["small", "streamed"] as const) {
    test(`SmtpClient tells the truth when a trace aborts the send at the end of a ${kind} content (${transfer})`, async () => {
      for (let at = 0; at < 12; at++) {
        const controller = new AbortController();
        let seen = 0;
        let armed = false;
        let error: SmtpError | undefined;
        const server = await modelled({}, async (client) => {
          armed = true;
          const message = kind === "small" ? "A:1" : ReadableStream.from(["A:", "1"]);
          error = await client.send(GOOD, message, { signal: controller.signal }).then(
            () => undefined,
            (e) => e,
          );
          armed = false;
        }, {
          transfer,
          trace: () => {
            if (armed && seen++ === at) controller.abort();
          },
        });
        if (error === undefined || error.outcome === "not-sent") {
          assertEquals(server.delivered.length, error === undefined ? 1 : 0, `event ${at}`);
        }
      }
    });
  }
}

test("SmtpClient lets no message join a transaction of single commands that waited behind another message", async () => {
  const server = await modelled({ family: "exim" }, async (client) => {
    const go = Promise.withResolvers<void>();
    async function* slow() {
      await go.promise;
      yield "A:slow";
    }
    const results = Promise.allSettled([
      client.send(GOOD, slow()),
      client.send(GOOD, "A:1"),
      client.command(`MAIL FROM:<${sender("evil", OK)}>`),
      client.command(`RCPT TO:<${recipient("evil", 250)}>`),
      client.send(GOOD, "A:2"),
    ]);
    go.resolve();
    assertEquals(reasons(await results), ["taken", "taken", "taken", "taken", "taken"]);
  });
  const expected = ["A:slow\r\n", "A:1\r\n", "A:2\r\n"].map((content) => ({
    from: GOOD.from,
    to: [GOOD.to],
    content,
  }));
  assertEquals(server.delivered, expected);
});

test("SmtpClient calls refused what was refused to everybody before it was aborted, not unknown", async () => {
  for (const [alwaysGoAhead, transfer] of [[true, "data"], [false, "bdat"]] as const) {
    for (let at = 0; at < 10; at++) {
      const controller = new AbortController();
      let replies = 0;
      let seen = false;
      let refused = false;
      await modelled({ alwaysGoAhead, lag: 3 }, async (client) => {
        replies = 0;
        const envelope = { from: sender("s", OK), to: recipient("r", 550) };
        const error = await rejectsAny(() => client.send(envelope, "A:1", { signal: controller.signal }));
        if (refused) assert(error.outcome !== "unknown", `${transfer}, event ${at}: ${error.outcome}`);
      }, {
        transfer,
        trace: (event) => {
          if (event.type === "reply" && event.reply.code === 550) seen = true;
          // What is refused is known to the client when it has dealt with the reply.
          if (replies++ === at) {
            queueMicrotask(() => {
              refused = seen;
              controller.abort();
            });
          }
        },
      });
    }
  }
});

async function rejectsAny(body: () => Promise<unknown>): Promise<SmtpError> {
  const error = await body().then(() => undefined, (error) => error);
  assertInstanceOf(error, SmtpError);
  return error;
}

test("SmtpClient goes on when a source fails in the very turn in which a chunk is refused", async () => {
  for (let turns = 0; turns < 120; turns++) {
    await modelled({}, async (client) => {
      async function* failing() {
        yield CHUNK;
        for (let i = 0; i < turns; i++) await Promise.resolve();
        throw new Error("disk on fire");
      }
      const first = client.send({ ...GOOD, from: sender("s", { ...OK, chunk: 552 }) }, failing());
      first.catch(() => {});
      const second = client.send(GOOD, "A:2").then(() => "taken", (error) => `${error}`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const hangs = new Promise<string>((resolve) => timer = setTimeout(resolve, 1_000, "it hangs"));
      const outcome = await Promise.race([second, hangs]);
      clearTimeout(timer);
      if (outcome !== "taken") await client.close();
      assertEquals(outcome, "taken", `the source fails after ${turns} turns`);
    });
  }
});
