import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { readFile } from "node:fs/promises";
import { SmtpClient } from "../src/client/client.ts";
import type { SmtpClientOptions } from "../src/client/options.ts";
import { SmtpError } from "../src/errors.ts";
import type { Outcome, SmtpErrorCode } from "../src/errors.ts";
import { serveSocket } from "../src/server/mod.ts";
import type { ServerHandlers, ServeSocketOptions } from "../src/server/mod.ts";
import { Reply } from "../src/core/reply.ts";
import { memorySocketPair } from "../src/sockets/memory.ts";
import { certificates } from "./sockets/conformance.ts";
import { runtime, sendMail, test } from "./support/harness.ts";
import { Listener } from "./support/peer.ts";
import type { Peer, PeerTls } from "./support/peer.ts";
import { replay } from "./support/replay.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const TEXT = "Subject: Hi\r\n\r\nHello\r\n";
const AUTH = { user: "ada", pass: "open sesame" };
const NAME = "client.test";

/** Whether trying again may help: always, never, or where the server's reply is a 4xx. */
type Temporary = "yes" | "no" | "4xx";

/** One way to a code, and what became of the mail. */
interface Way {
  outcome: Outcome;
  raise(): Promise<unknown>;
}

/** What docs/errors.md says of a code, and how it comes about. */
interface Code {
  temporary: Temporary;
  ways: readonly Way[];
}

const notSent = (raise: () => Promise<unknown>): Way => ({ outcome: "not-sent", raise });
const refused = (raise: () => Promise<unknown>): Way => ({ outcome: "refused", raise });
const unknown = (raise: () => Promise<unknown>): Way => ({ outcome: "unknown", raise });

/** Replays a conversation with a client. */
async function replayed(
  transcript: string,
  body: (client: SmtpClient) => Promise<unknown>,
  options: SmtpClientOptions = {},
): Promise<void> {
  const { socket, done } = replay(transcript);
  done.catch(() => {}); // where it ends is what is tested
  const client = await SmtpClient.connect({ socket, security: "none", clientName: NAME, ...options });
  try {
    await body(client);
  } finally {
    await client.close();
  }
}

/** A session that cannot be had. */
const connecting = (transcript: string, options: SmtpClientOptions = {}) =>
  replayed(transcript, () => Promise.resolve(), options);

const GREETED = `
  S: 220 mx.test
  C: EHLO ${NAME}
  S: 250-mx.test
  S: 250 8BITMIME`;

const DATA = `${GREETED}
  C: MAIL FROM:<me@example.com>
  S: 250 Ok
  C: RCPT TO:<you@example.org>
  S: 250 Ok
  C: DATA
  S: 354 Go ahead`;

const send = (client: SmtpClient) => client.send(ENVELOPE, TEXT);

/** A session with our own server. */
async function served(
  handlers: ServerHandlers,
  body: (client: SmtpClient) => Promise<unknown>,
  { server = {}, client = {} }: { server?: ServeSocketOptions; client?: SmtpClientOptions } = {},
): Promise<void> {
  const [socket, peer] = memorySocketPair();
  const serving = serveSocket(peer, { allowInsecureAuth: true, onError: () => {}, ...server }, handlers);
  try {
    const session = await SmtpClient.connect({ socket, security: "none", clientName: NAME, ...client });
    try {
      await body(session);
    } finally {
      await session.close();
    }
  } finally {
    await socket.close().catch(() => {});
    await serving;
  }
}

/** A connection to a peer that does what the test wants. */
async function listening(
  peer: (peer: Peer) => Promise<unknown>,
  options: SmtpClientOptions = {},
): Promise<unknown> {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const serving = listener.accept().then(peer).catch(() => {});
  try {
    return await sendMail({ hostname: "127.0.0.1", port, clientName: NAME, ...options }, ENVELOPE, TEXT);
  } finally {
    await serving;
  }
}

/** A server with a certificate that is not good. */
async function certified(
  key: "good" | "expired" | "otherName",
  options: SmtpClientOptions,
): Promise<unknown> {
  const pair: PeerTls = (await certificates())[key];
  return await listening(async (peer) => (await peer.startTls(pair)).drain(), {
    security: "tls",
    ...options,
  });
}

async function trusted(): Promise<SmtpClientOptions> {
  return { tls: { caCerts: [(await certificates()).authority.cert] } };
}

/** Plays the server's part up to what follows the content. */
async function toTheEnd(peer: Peer): Promise<void> {
  await peer.write("220 mx.test\r\n");
  for (const reply of ["250 mx.test", "250 Ok", "250 Ok", "354 Go ahead"]) {
    await peer.read();
    await peer.write(`${reply}\r\n`);
  }
  await peer.readText(TEXT.length + ".\r\n".length);
}

/** What the runtime's own error would be, where it cannot be had on a machine that is connected and permitted. */
const throwing = (error: Error) => () =>
  SmtpClient.connect({ socket: () => Promise.reject(error), security: "none" });

/** Raises every code there is: the type makes sure that none is missing. */
const CODES: Record<SmtpErrorCode, Code> = {
  "connection-refused": {
    temporary: "yes",
    ways: [
      notSent(async () => {
        const listener = await Listener.tcp();
        const { port } = listener.address as { port: number };
        await listener[Symbol.asyncDispose]();
        await sendMail({ hostname: "127.0.0.1", port }, ENVELOPE, TEXT);
      }),
      notSent(() => SmtpClient.connect({ path: "/does/not/exist.sock", security: "none" })),
    ],
  },
  "connection-reset": {
    temporary: "yes",
    ways: [
      notSent(() => listening((peer) => Promise.resolve(peer.reset()))),
      unknown(() =>
        listening(async (peer) => {
          await toTheEnd(peer);
          peer.reset();
        })
      ),
    ],
  },
  // The system takes minutes for it.
  "timed-out": {
    temporary: "yes",
    ways: [notSent(throwing(Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" })))],
  },
  "host-not-found": {
    temporary: "no",
    ways: [notSent(() => SmtpClient.connect({ hostname: "does-not-exist.invalid", port: 25 }))],
  },
  "unreachable": {
    temporary: "yes",
    ways: [
      notSent(() =>
        SmtpClient.connect(
          runtime === "bun"
            // It takes everything else for a refusal: an address that is not the machine's own (RFC 5737).
            ? { hostname: "127.0.0.1", port: 25, localAddress: "192.0.2.1" }
            // No connection goes to everybody.
            : { hostname: "255.255.255.255", port: 25, localAddress: "127.0.0.1" },
        )
      ),
    ],
  },
  "certificate-untrusted": { temporary: "no", ways: [notSent(() => certified("good", {}))] },
  "certificate-name": {
    temporary: "no",
    ways: [notSent(async () => certified("otherName", await trusted()))],
  },
  "certificate-expired": {
    temporary: "no",
    ways: [notSent(async () => certified("expired", await trusted()))],
  },
  "tls-failed": {
    temporary: "no",
    ways: [
      notSent(() =>
        listening(async (peer) => {
          await peer.write("220 mx.test does not speak TLS here\r\n");
          await peer.drain();
        }, { security: "tls" })
      ),
    ],
  },
  "aborted": {
    temporary: "no",
    ways: [
      notSent(() => SmtpClient.connect({ signal: AbortSignal.abort() })),
      notSent(() => connecting(GREETED, { signal: AbortSignal.abort() })),
      unknown(() => {
        const controller = new AbortController();
        return replayed(`${DATA}\n${said(TEXT)}`, (client) =>
          client.send(ENVELOPE, TEXT, {
            signal: controller.signal,
            onProgress: ({ sent }) => sent === TEXT.length && setTimeout(() => controller.abort(), 0),
          }));
      }),
    ],
  },
  // For real, in a program that Deno gives no permission, in tests/sockets/connect_test.ts.
  "not-permitted": {
    temporary: "no",
    ways: [notSent(throwing(Object.assign(new Error("connect EACCES"), { code: "EACCES" })))],
  },
  "network": { temporary: "yes", ways: [notSent(throwing(new Error("The proxy is in a bad mood")))] },
  "timeout": {
    temporary: "yes",
    ways: [
      notSent(() => SmtpClient.connect({ socket: memorySocketPair()[0], timeouts: { greeting: 5 } })),
      unknown(() => replayed(`${DATA}\n${said(TEXT)}`, send, { timeouts: { end: 5 } })),
    ],
  },
  "connection-lost": {
    temporary: "yes",
    ways: [
      notSent(() => replayed(`${GREETED}\n  C: MAIL FROM:<me@example.com>\n  S! close`, send)),
      unknown(() => replayed(`${DATA}\n${said(TEXT)}\n  S! close`, send)),
    ],
  },
  "client-closed": {
    temporary: "no",
    ways: [
      notSent(() => served({}, async (client) => (await client.close(), await client.send(ENVELOPE, TEXT)))),
      notSent(() => served({}, async (client) => (void client.quit(), await client.noop()))),
      unknown(async () => {
        const { socket, heard, done } = replay(`${DATA}\n${said(TEXT)}`);
        done.catch(() => {});
        const client = await SmtpClient.connect({ socket, security: "none", clientName: NAME });
        const sent = send(client);
        await heard;
        await client.close();
        await sent;
      }),
    ],
  },
  "service-unavailable": {
    temporary: "4xx",
    ways: [
      notSent(() => connecting("S: 554 No mail here\nS! close")),
      notSent(() => connecting("S: 421 Too busy\nS! close")),
      notSent(() => replayed(`${GREETED}\n  C: MAIL FROM:<me@example.com>\n  S: 421 I go\n  S! close`, send)),
    ],
  },
  "protocol-error": {
    temporary: "no",
    ways: [
      notSent(() => connecting("S: HTTP/1.1 400 Bad Request\nS! close")),
      notSent(() => connecting("S: 354 Go ahead\nS! close")),
      unknown(() => replayed(`${DATA}\n${said(TEXT)}\n  S: What?`, send)),
    ],
  },
  "starttls-unavailable": {
    temporary: "4xx",
    ways: [
      notSent(() => connecting(GREETED, { security: "starttls" })),
      notSent(() =>
        connecting(
          `S: 220 mx.test\nC: EHLO ${NAME}\nS: 250-mx.test\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 Not now`,
          { security: "starttls" },
        )
      ),
    ],
  },
  "starttls-injection": {
    temporary: "no",
    ways: [
      notSent(() =>
        connecting(
          `S: 220 mx.test\nC: EHLO ${NAME}\nS: 250-mx.test\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go\nS: 250 AUTH EVIL`,
          { security: "starttls" },
        )
      ),
    ],
  },
  "auth-insecure": {
    temporary: "no",
    ways: [notSent(() => connecting(GREETED, { security: "opportunistic", auth: AUTH }))],
  },
  "auth-unsupported": { temporary: "no", ways: [notSent(() => connecting(GREETED, { auth: AUTH }))] },
  "auth-failed": {
    temporary: "4xx",
    ways: [
      notSent(() => served({ auth: () => false }, () => Promise.resolve(), { client: { auth: AUTH } })),
      notSent(() =>
        served({ auth: () => new Reply(454, "Not now") }, () => Promise.resolve(), { client: { auth: AUTH } })
      ),
    ],
  },
  "invalid-envelope": {
    temporary: "no",
    ways: [
      notSent(() => served({}, (client) => client.send({ ...ENVELOPE, to: [] }, TEXT))),
      notSent(() => served({}, (client) => client.send({ ...ENVELOPE, from: "Me <me@example.com>" }, TEXT))),
    ],
  },
  "invalid-message": {
    temporary: "no",
    ways: [
      notSent(() => served({}, (client) => client.send(ENVELOPE, 42 as never))),
      notSent(() => served({}, (client) => client.send({ ...ENVELOPE, body: "7bit" }, "Grüße"))),
      notSent(() => served({}, (client) => client.send(ENVELOPE, "x".repeat(1000)))),
    ],
  },
  "source-failed": {
    temporary: "no",
    ways: [
      notSent(() =>
        served({}, (client) => {
          const failing = new ReadableStream({ pull: () => Promise.reject(new Error("The disk is gone")) });
          return client.send(ENVELOPE, failing);
        })
      ),
    ],
  },
  "extension-missing": {
    temporary: "no",
    ways: [
      notSent(() => served({}, (client) => client.send({ ...ENVELOPE, holdFor: 60 }, TEXT))),
      notSent(() =>
        served({}, (client) => client.send(ENVELOPE, "Grüße"), { server: { hide: ["8BITMIME"] } })
      ),
    ],
  },
  "message-too-large": {
    temporary: "no",
    ways: [notSent(() => served({}, send, { server: { maxMessageSize: 5 } }))],
  },
  "sender-refused": {
    temporary: "4xx",
    ways: [550, 450].map((code) => refused(() => served({ mail: () => new Reply(code, "No") }, send))),
  },
  "recipients-refused": {
    temporary: "4xx",
    ways: [
      ...[550, 450].map((code) => refused(() => served({ rcpt: () => new Reply(code, "No") }, send))),
      refused(() =>
        served(
          { rcpt: ({ address }) => address.startsWith("no") ? new Reply(550, "No") : undefined },
          (client) =>
            client.send({ ...ENVELOPE, to: ["you@example.org", "no@example.org"] }, TEXT, {
              recipients: "all",
            }),
        )
      ),
    ],
  },
  "message-refused": {
    temporary: "4xx",
    ways: [554, 451].map((code) => refused(() => served({ message: () => new Reply(code, "No") }, send))),
  },
  "command-refused": {
    temporary: "4xx",
    ways: [
      refused(() => replayed(`${GREETED}\n  C: VRFY ada\n  S: 550 Nobody\n`, (client) => client.vrfy("ada"))),
      notSent(() => connecting(`S: 220 mx.test\nC: EHLO ${NAME}\nS: 450 Not now`)),
    ],
  },
  "bad-sequence": {
    temporary: "no",
    ways: [
      notSent(() => served({}, (client) => client.data())),
      notSent(() =>
        served({}, async (client) => (await client.mail(null), await client.send(ENVELOPE, TEXT)))
      ),
    ],
  },
};

/** The lines of a content, as a client says them. */
function said(text: string): string {
  return `${text}.`.split("\r\n").map((line) => `  C: ${line}`).join("\n");
}

const raised = new Set<string>();

for (const [code, { temporary, ways }] of Object.entries(CODES)) {
  test(`SmtpError has the code "${code}" where it says so`, async () => {
    for (const { outcome, raise } of ways) {
      const error = await raise().then(() => assert(false, "Nothing was raised"), (error) => error);
      assertInstanceOf(error, SmtpError);
      assertEquals([error.code, error.outcome], [code, outcome], error.message);
      const reply = error.reply?.temporary ?? false;
      assertEquals(error.temporary, temporary === "yes" || (temporary === "4xx" && reply), error.message);
      assert(/^[A-Z]/.test(error.message), error.message);
      raised.add(error.code);
    }
  });
}

/** What the source says, for those who run the tests without checking types. */
async function declaredCodes(): Promise<string[]> {
  const read = (path: string) => readFile(new URL(`../src/${path}`, import.meta.url), "utf8");
  const union = (source: string, name: string) => {
    const start = source.indexOf(`export type ${name} =`);
    const body = source.slice(start, source.indexOf('";', start) + 1);
    return [...body.matchAll(/^ +\| "([a-z-]+)"/gm)].map(([, code]) => code!);
  };
  const sockets = union(await read("sockets/socket.ts"), "SocketErrorCode").filter((code) =>
    code !== "closed" && code !== "address-in-use"
  );
  return [...sockets, ...union(await read("errors.ts"), "SmtpErrorCode")];
}

test("SmtpErrorCode has no code that no test raises", async () => {
  assertEquals(Object.keys(CODES).sort(), (await declaredCodes()).sort());
  // Where one test was picked by its name, the others have raised nothing.
  if (raised.size > 1) assertEquals([...raised].sort(), Object.keys(CODES).sort());
});

test("docs/errors.md has a row for each code, that says what it means, what happened to the message and whether to try again", async () => {
  const page = await readFile(new URL("../docs/errors.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("|")).map((line) =>
    line.slice(1, -1).split("|").map((cell) => cell.trim())
  );
  const start = rows.findIndex(([first, second]) => first === "`code`" && second === "what it means");
  assertEquals(rows[start], ["`code`", "what it means", "the mail", "temporary", "what to do"]);
  const lines = rows.slice(start + 2).filter((row) => row.length === rows[start]!.length);
  const table = new Map(lines.map(([code, ...cells]) => [code!, cells] as const));
  const expected = Object.keys(CODES).map((code) => `\`${code}\``);
  assertEquals([...table.keys()].filter((code) => code.startsWith("`")).sort(), expected.sort());
  for (const [code, { temporary, ways }] of Object.entries(CODES)) {
    const [meaning, mail, again, advice] = table.get(`\`${code}\``)!;
    assert(meaning !== "" && advice !== "", code);
    const outcomes = ["not-sent", "refused", "unknown"].filter((outcome) =>
      ways.some((way) => way.outcome === outcome)
    );
    assertEquals([mail, again], [outcomes.map((outcome) => `\`${outcome}\``).join(", "), temporary], code);
  }
});

test("SmtpError's message escapes what a server says to a terminal, and keeps its lines", () => {
  const error = new SmtpError(
    "command-refused",
    "The server refuses RCPT: 550-no\x1b[2J\u202e\u2066\n550 \u2028x\x9b",
    {
      phase: "rcpt",
    },
  );
  assertEquals(
    error.message,
    String.raw`The server refuses RCPT: 550-no\x1b[2J\u202e\u2066` + "\n" + String.raw`550 \u2028x\x9b`,
  );
  assertEquals(error.stack!.includes("\u202e"), false);
});
