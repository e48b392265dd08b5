import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { merge, shareOut, tooMany } from "../../src/client/split.ts";
import { Receipt } from "../../src/client/receipt.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const OK = new Reply(250, "Ok");
const TOO_MANY = new Reply(452, "4.5.3 Too many recipients");

test("shareOut() gives nothing to share where one transaction is enough", () => {
  assertEquals(shareOut(["a@x", "b@y"], {}), undefined);
  assertEquals(shareOut(["a@x", "b@y"], { rcptMax: 2 }), undefined);
  assertEquals(shareOut(["a@x", "b@X", "c@x"], { rcptDomainMax: 1 }), undefined);
});

test("shareOut() fills one transaction after the other, in the order of the recipients", () => {
  assertEquals(shareOut(["a@x", "b@x", "c@x", "d@x", "e@x"], { rcptMax: 2 }), [[0, 1], [2, 3], [4]]);
  assertEquals(shareOut(["a@x", "b@y", "c@X", "d@y"], { rcptDomainMax: 1 }), [[0], [1], [2], [3]]);
  assertEquals(shareOut(["a@x", "b@y", "c@x", "d@z"], { rcptDomainMax: 2, rcptMax: 9 }), [[0, 1, 2], [3]]);
});

test("shareOut() gives each recipient once, in order, and keeps to both limits", () => {
  const recipient = fc.constantFrom(..."abc".split("").map((domain) => `x@${domain}`));
  const limit = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(
      fc.array(recipient, { minLength: 1, maxLength: 20 }),
      limit,
      limit,
      (recipients, rcptMax, rcptDomainMax) => {
        const parts = shareOut(recipients, { rcptMax, rcptDomainMax }) ?? [[...recipients.keys()]];
        assertEquals(parts.flat(), [...recipients.keys()]);
        for (const part of parts) {
          assertEquals(part.length > 0 && part.length <= rcptMax, true);
          assertEquals(new Set(part.map((index) => recipients[index])).size <= rcptDomainMax, true);
        }
      },
    ),
  );
});

test("tooMany() finds those who were refused for their number alone", () => {
  const rejected = [
    ["a", new Reply(452, "4.5.3 Too many recipients")],
    ["b", new Reply(452, "too many recipients")], // Exim
    ["c", new Reply(452, "4.2.2 Mailbox full")],
    ["d", new Reply(552, "5.5.3 Too many recipients")],
    ["e", new Reply(452, "4.5.3")],
  ].map(([recipient, reply]) => ({ recipient: recipient as string, reply: reply as Reply }));
  assertEquals(tooMany(rejected).map(({ recipient }) => recipient), ["a", "b", "e"]);
});

function failure(init: Partial<ConstructorParameters<typeof SmtpError>[2]>, message = "failed"): SmtpError {
  return new SmtpError("connection-lost", message, { phase: "content", ...init });
}

test("merge() makes one receipt of those that there are", () => {
  const first = new Receipt(["a"], [{ recipient: "b", reply: TOO_MANY }], new Reply(250, "Ok: queued as A1"));
  const second = new Receipt(["c"], [], new Reply(250, "Ok: queued as B2"));
  const refused = new SmtpError("recipients-refused", "No", {
    phase: "rcpt",
    outcome: "refused",
    reply: new Reply(550, "No"),
    rejected: [{ recipient: "d", reply: new Reply(551, "Not here") }],
  });
  const receipt = merge([
    { recipients: ["a", "b"], result: first },
    { recipients: ["d", "e"], result: refused },
    { recipients: ["c"], result: second },
  ]);
  assertEquals([receipt.accepted, receipt.queueId, receipt.parts], [["a", "c"], "B2", [first, second]]);
  assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]), [
    ["b", 452],
    ["d", 551],
    ["e", 550],
  ]);
  assertEquals(first.parts, [first]);
});

test("merge() throws the refusal where nobody gets the message", () => {
  const refused = failure({ outcome: "refused", reply: new Reply(550, "No"), usable: true });
  const parts = [{ recipients: ["a"], result: refused }, { recipients: ["b"], result: refused }];
  const error = assertThrows(() => merge(parts), SmtpError);
  assertEquals([error.outcome, error.usable, error.rejected.length], ["refused", true, 2]);
});

test("merge() throws the failure whose outcome is not known, and tells who has the message", () => {
  const unknown = failure({ outcome: "unknown", accepted: ["c"] }, "first");
  const parts = [
    { recipients: ["a"], result: new Receipt(["a"], [], OK) },
    { recipients: ["c", "d"], result: unknown },
    { recipients: ["b"], result: failure({ outcome: "not-sent" }, "second") },
  ];
  const error = assertThrows(() => merge(parts), SmtpError);
  assertEquals([error.message, error.outcome, error.accepted], ["first", "unknown", ["a", "c"]]);
});

/** One transaction without PIPELINING. */
function transaction(
  recipients: Record<string, string>,
  content = "A:",
  reply = "250 Ok",
  from = "<>",
): string {
  const rcpts = Object.entries(recipients).map(([name, reply]) => `C: RCPT TO:<${name}@b.test>\nS: ${reply}`);
  return [
    `C: MAIL FROM:${from}\nS: 250 Ok`,
    ...rcpts,
    ...Object.values(recipients).some((reply) => reply.startsWith("2"))
      ? [
        `C: DATA\nS: 354 Ok\n${
          content.split("\n").map((line) => `C: ${line}`).join("\n")
        }\nC: .\nS: ${reply}`,
      ]
      : [],
  ].join("\n");
}

function to(names: string): string[] {
  return [...names].map((name) => `${name}@b.test`);
}

conversation(
  "SmtpClient sends in several transactions where the server says RCPTMAX, with one receipt",
  `${hello("LIMITS RCPTMAX=2")}
  ${transaction({ a: "250 Ok", b: "550 5.1.1 No" }, "A:", "250 Ok: queued as A1")}
  ${transaction({ c: "250 Ok", d: "250 Ok" }, "A:", "554 5.7.1 Spam")}
  ${transaction({ e: "250 Ok" }, "A:", "250 Ok: queued as C3")}
  ${QUIT}`,
  async (client) => {
    const receipt = await client.send({ from: null, to: to("abcde") }, "A:");
    assertEquals(receipt.accepted, to("ae"));
    assertEquals(receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]), [
      ["b@b.test", 550],
      ["c@b.test", 554],
      ["d@b.test", 554],
    ]);
    assertEquals(receipt.parts.map(({ queueId }) => queueId), ["A1", "C3"]);
  },
);

test("SmtpClient has all transactions of a message in flight together, ahead of the next message", () =>
  converse(
    `${hello("PIPELINING", "CHUNKING", "LIMITS RCPTDOMAINMAX=1")}
    C: MAIL FROM:<>
    C: RCPT TO:<a@x.test>
    C: BDAT 4 LAST
    C: A:
    C: RSET
    C: MAIL FROM:<>
    C: RCPT TO:<b@y.test>
    C: RCPT TO:<c@Y.test>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send({ from: null, to: ["a@x.test", "b@y.test", "c@Y.test"] }, "A:");
      assertEquals(receipt.accepted.length, 3);
    },
  ));

const SOURCES = {
  text: () => "A:",
  bytes: () => new TextEncoder().encode("A:"),
  Blob: () => new Blob(["A:"]),
  stream: () => ReadableStream.from(["A", ":"]),
  Response: () => new Response("A:"),
  iterable: () =>
    (async function* () {
      yield await Promise.resolve("A:");
    })(),
};

for (const [what, source] of Object.entries(SOURCES)) {
  test(`SmtpClient sends a message that is a ${what} as often as it takes`, () =>
    converse(
      `${hello("LIMITS RCPTMAX=1")}
      ${transaction({ a: "250 Ok" })}
      ${transaction({ b: "250 Ok" })}
      ${QUIT}`,
      async (client) => {
        assertEquals((await client.send({ from: null, to: to("ab") }, source())).accepted, to("ab"));
      },
    ));
}

test("SmtpClient opens the stream of a function anew for each transaction", () => {
  let opened = 0;
  return converse(
    `${hello("LIMITS RCPTMAX=1")}
    ${transaction({ a: "250 Ok" }, "A:1")}
    ${transaction({ b: "250 Ok" }, "A:2")}
    ${transaction({ c: "250 Ok" }, "A:3")}
    ${QUIT}`,
    async (client) => {
      await client.send({ from: null, to: to("abc") }, () => ReadableStream.from([`A:${++opened}`]));
      assertEquals(opened, 3);
    },
  );
});

test("SmtpClient keeps no stream in memory whose recipients fit after all", () =>
  converse(
    `${hello("LIMITS RCPTDOMAINMAX=1")}
    ${transaction({ a: "250 Ok", b: "250 Ok" })}
    ${QUIT}`,
    async (client) => {
      const pulled: string[] = [];
      const stream = new ReadableStream<string>({
        pull(controller) {
          if (pulled.length === 1) return controller.close();
          pulled.push("A:");
          // Only when the server has said 354 is it read.
          controller.enqueue("A:");
        },
      }, { highWaterMark: 0 });
      const kinds: (number | undefined)[] = [];
      const onProgress = ({ total }: { total: number | undefined }) => kinds.push(total);
      await client.send({ from: null, to: to("ab") }, stream, { onProgress });
      assertEquals(new Set(kinds), new Set([undefined])); // a kept one has a size
    },
  ));

conversation(
  "SmtpClient goes on with those whom the server has refused for their number",
  `${hello()}
  ${
    transaction({
      a: "250 Ok",
      b: "250 Ok",
      c: "452 4.5.3 Too many",
      d: "550 No",
      e: "452 too many recipients",
    })
  }
  ${transaction({ c: "250 Ok", e: "452 4.5.3 Too many" })}
  ${transaction({ e: "250 Ok" }, "A:", "250 Ok: queued as C3")}
  ${QUIT}`,
  async (client) => {
    const receipt = await client.send({ from: null, to: to("abcde") }, "A:");
    assertEquals(receipt.accepted.toSorted(), to("abce"));
    assertEquals(receipt.rejected.map(({ recipient }) => recipient), to("d"));
    assertEquals(receipt.parts.length, 3);
  },
);

test("SmtpClient does not ask again for a stream that it has read, or where nobody was taken", () =>
  converse(
    `${hello()}
    ${transaction({ a: "250 Ok", b: "452 4.5.3 Too many" })}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<a@b.test>
    S: 452 4.5.3 Too many
    C: RSET
    S: 250 Ok
    ${transaction({ a: "250 Ok", b: "452 4.2.2 Full" })}
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send({ from: null, to: to("ab") }, ReadableStream.from(["A:"]));
      assertEquals(receipt.rejected.map(({ recipient }) => recipient), to("b"));
      await rejectsWith("recipients-refused", () => client.send({ from: null, to: to("a") }, "A:"));
      const full = await client.send({ from: null, to: to("ab") }, "A:");
      assertEquals(full.rejected.map(({ reply }) => reply?.enhancedCode), ["4.2.2"]);
    },
  ));

test("SmtpClient goes on with a recipient that was named twice", () =>
  converse(
    `${hello()}
    ${
      transaction({ a: "250 Ok" }).replace("C: DATA", "C: RCPT TO:<a@b.test>\nS: 452 4.5.3 Too many\nC: DATA")
    }
    ${transaction({ a: "250 Ok" })}
    ${QUIT}`,
    async (client) => {
      const receipt = await client.send({ from: null, to: to("aa") }, "A:");
      assertEquals([receipt.accepted, receipt.rejected], [to("aa"), []]);
    },
  ));

test('SmtpClient sends nothing where recipients is "all" and the server takes fewer at a time', () =>
  converse(`${hello("LIMITS RCPTMAX=1")}\n${QUIT}`, async (client) => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
    const error = await rejectsWith(
      "invalid-envelope",
      () => client.send({ from: null, to: to("ab") }, stream, { recipients: "all" }),
    );
    assertEquals([error.outcome, error.usable, cancelled], ["not-sent", true, true]);
  }));

test("SmtpClient sums progress up over all transactions, and it never goes back", async () => {
  for (const [extensions, first] of [["LIMITS RCPTMAX=1", "250 Ok"], ["SIZE", "250 Ok"]] as const) {
    const bySize = extensions === "SIZE";
    const from = bySize ? "<> SIZE=9" : "<>";
    const script = bySize
      ? [
        transaction({ a: first, b: "452 4.5.3 Too many" }, "A: Hell", "250 Ok", from),
        transaction({ b: "250 Ok" }, "A: Hell", "250 Ok", from),
      ]
      : [transaction({ a: first }, "A: Hell"), transaction({ b: "250 Ok" }, "A: Hell")];
    await converse([hello(extensions), ...script, QUIT].join("\n"), async (client) => {
      const seen: [number, number | undefined][] = [];
      await client.send({ from: null, to: to("ab") }, "A: Hell", {
        onProgress: ({ sent, total }) => seen.push([sent, total]),
      });
      assertEquals(seen.at(-1), [14, 14]);
      assertEquals(seen.map(([sent]) => sent), seen.map(([sent]) => sent).toSorted((a, b) => a - b));
    });
  }
});

/** A server that says LIMITS, and hears nothing of the message. */
const SILENT = `${hello("LIMITS RCPTMAX=1", "BINARYMIME", "CHUNKING")}\n${QUIT}`;

test("SmtpClient gives up a stream that it gathers when it is told to", () =>
  converse(SILENT, async (client) => {
    const controller = new AbortController();
    let cancelled: unknown;
    const pulled = Promise.withResolvers<void>();
    const stream = new ReadableStream<Uint8Array>({
      pull: () => pulled.resolve(), // and gives nothing
      cancel: (reason) => void (cancelled = reason),
    });
    const sent = rejectsWith(
      "aborted",
      () => client.send({ from: null, to: to("ab") }, stream, { signal: controller.signal }),
    );
    await pulled.promise;
    controller.abort(new Error("enough"));
    const error = await sent;
    assertEquals([error.outcome, error.usable, cancelled], ["not-sent", true, error]);
  }));

test("SmtpClient gives up between two transactions, and tells who has the message", async () => {
  const controller = new AbortController();
  let replies = 0;
  await converse(
    `${hello()}
    ${transaction({ a: "250 Ok", b: "452 4.5.3 Too many" })}
    ${QUIT}`,
    async (client) => {
      const error = await rejectsWith(
        "aborted",
        () => client.send({ from: null, to: to("ab") }, "A:", { signal: controller.signal }),
      );
      assertEquals([error.outcome, error.accepted, error.usable], ["not-sent", to("a"), true]);
    },
    {
      trace(event) {
        // The seventh is the one to the content: the abort comes before anybody has heard of it.
        if (event.type === "reply" && ++replies === 7) queueMicrotask(() => controller.abort());
      },
    },
  );
});

for (
  const [what, pieces, code] of [
    ["a NUL", ["A:\0"], "invalid-message"],
    ["a line that is too long", ["A:", "x".repeat(499), "x".repeat(499)], "invalid-message"],
    ["bytes above 127", ["A:é"], "extension-missing"],
  ] as const
) {
  test(`SmtpClient finds ${what} in a stream that it gathers, before it is sent`, () =>
    converse(SILENT, async (client) => {
      const error = await rejectsWith(
        code,
        () => client.send({ from: null, to: to("ab") }, ReadableStream.from(pieces)),
      );
      assertEquals([error.outcome, error.usable], ["not-sent", true]);
    }));
}

test("SmtpClient reports a stream that fails while it is gathered", () =>
  converse(SILENT, async (client) => {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error("disk")),
    });
    const error = await rejectsWith("source-failed", () => client.send({ from: null, to: to("ab") }, stream));
    assertEquals([error.outcome, error.usable, error.message.includes("disk")], ["not-sent", true, true]);
  }));

test("SmtpClient keeps no more than 64 MiB of a stream", () =>
  converse(SILENT, async (client) => {
    let given = 0;
    const piece = new Uint8Array(1024 * 1024).fill(0x0a);
    piece.set([0x41, 0x3a]);
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        given++;
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
    const error = await rejectsWith(
      "invalid-message",
      () => client.send({ from: null, to: to("ab") }, stream),
    );
    assertEquals([given, error.usable], [65, true]);
  }));

test("SmtpClient sends a binary stream that it has gathered as it is", () =>
  converse(
    `${hello("LIMITS RCPTMAX=1", "BINARYMIME", "CHUNKING", "PIPELINING")}
    C: MAIL FROM:<> BODY=BINARYMIME
    C: RCPT TO:<a@b.test>
    C: BDAT 9 LAST
    C: A:.\r\u0001\u0002\u0000
    C: RSET
    C: MAIL FROM:<> BODY=BINARYMIME
    C: RCPT TO:<b@b.test>
    C: BDAT 9 LAST
    C: A:.\r\u0001\u0002\u0000
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`,
    async (client) => {
      const stream = ReadableStream.from(["A:.\r\u0001", "\u0002\0\r\n"]);
      await client.send({ from: null, to: to("ab"), body: "binarymime" }, stream);
    },
  ));

test("SmtpClient tells who has the message when the connection is lost between two transactions", async () => {
  const played = replay(`${hello("LIMITS RCPTMAX=1")}
    ${transaction({ a: "250 Ok" })}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RCPT TO:<b@b.test>
    S: 250 Ok
    C: DATA
    S: 354 Ok
    C: A:
    C: .
    S! close`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const error = await rejectsWith("connection-lost", () => client.send({ from: null, to: to("abc") }, "A:"));
  assertEquals([error.outcome, error.accepted, client.usable], ["unknown", to("a"), false]);
  await played.done;
});

// MAILMAX

test("SmtpClient ends a session after as many messages as the server takes", async () => {
  const played = replay(`${hello("LIMITS MAILMAX=2", "PIPELINING", "CHUNKING")}
    C: MAIL FROM:<>
    C: RCPT TO:<a@b.test>
    C: BDAT 4 LAST
    C: A:
    C: RSET
    C: MAIL FROM:<>
    C: RCPT TO:<b@b.test>
    C: BDAT 4 LAST
    C: A:
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    S: 250 Ok
    ${QUIT}`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const first = client.send({ from: null, to: to("a") }, "A:");
  assertEquals(client.usable, true);
  const second = client.send({ from: null, to: to("b") }, "A:");
  assertEquals(client.usable, false);
  const error = await rejectsWith("client-closed", () => client.send({ from: null, to: to("c") }, "A:"));
  assertEquals(error.outcome, "not-sent");
  assertEquals([(await first).accepted, (await second).accepted], [to("a"), to("b")]);
  await client.closed;
  await played.done;
});

test("SmtpClient ends a session after as many transactions, be they those of one message", async () => {
  const played = replay(`${hello("LIMITS MAILMAX=2 RCPTMAX=1")}
    ${transaction({ a: "250 Ok" })}
    ${transaction({ b: "250 Ok" })}
    ${QUIT}`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  const error = await rejectsWith("client-closed", () => client.send({ from: null, to: to("abc") }, "A:"));
  assertEquals([error.outcome, error.accepted, error.temporary], ["not-sent", to("ab"), true]);
  assertEquals(client.usable, false);
  await client.closed;
  await played.done;
});

test("SmtpClient refuses a transaction in steps that is one too many", async () => {
  const played = replay(`${hello("LIMITS MAILMAX=1")}
    C: MAIL FROM:<>
    S: 250 Ok
    C: RSET
    S: 250 Ok
    ${QUIT}`);
  const client = await SmtpClient.connect({
    socket: played.socket,
    clientName: "client.test",
    security: "none",
  });
  await client.mail(null);
  await client.reset();
  await assertRejects(() => client.mail(null), SmtpError, "takes 1 messages in a session");
  await client.quit();
  await played.done;
});
