import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { inspect } from "node:util";
import { authenticate } from "../../src/client/authenticate.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { Conversation } from "../../src/client/conversation.ts";
import { Link } from "../../src/client/link.ts";
import { checkAuth } from "../../src/client/authenticate.ts";
import { readOptions } from "../../src/client/options.ts";
import type { Auth } from "../../src/client/options.ts";
import { Pipeline } from "../../src/client/pipeline.ts";
import { Session } from "../../src/client/session.ts";
import { SmtpError } from "../../src/errors.ts";
import type { ChannelBinding } from "../../src/sasl/channel_binding.ts";
import { mechanismsFor } from "../../src/sasl/choose.ts";
import type { Protection } from "../../src/sasl/choose.ts";
import type { SaslContext, SaslMechanism } from "../../src/sasl/mechanism.ts";
import { Scram } from "../../src/sasl/scram.ts";
import { computeProofs } from "../../src/sasl/scram_keys.ts";
import type { ScramHash } from "../../src/sasl/scram_keys.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { formatTrace } from "../../src/trace.ts";
import type { TraceEvent } from "../../src/trace.ts";
import { converse, ehlo, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { ALL_PIECES, replay } from "../support/replay.ts";

const USER = "tim@example.com";
const PASS = "tanstaaf-tanstaaf";
const TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
const PASSWORD = { user: USER, pass: PASS };
const OAUTH = { user: USER, accessToken: TOKEN };

/** Answers a line of the client's. */
type Server = (line: string) => string | Promise<string>;

interface Attempt {
  /** What the client said, line by line. */
  lines: string[];
  /** The name of the mechanism that worked. */
  mechanism?: string;
  error?: SmtpError;
}

/** Logs in to a server, and makes sure that nothing that can be seen shows a secret. */
async function logIn(
  server: Server,
  offered: string,
  auth: Auth,
  connection: Omit<SaslContext, "offered"> = {},
  protection: Protection = "verified",
): Promise<Attempt> {
  const events: TraceEvent[] = [];
  const attempt: Attempt = { lines: [] };
  await withConversation(server, attempt.lines, (event) => events.push(event), async (conversation) => {
    try {
      const context = { ...connection, offered: offered.split(" ") };
      attempt.mechanism = await authenticate(conversation, auth, context, protection);
    } catch (error) {
      assert(error instanceof SmtpError, inspect(error));
      attempt.error = error;
    }
  });
  const { error } = attempt;
  const shown = [
    JSON.stringify(events),
    inspect(events, { depth: 9 }),
    ...events.map(formatTrace),
    ...(error === undefined ? [] : [...everything(error)]),
  ].join("\n");
  for (const secret of secretsOf(attempt.lines)) {
    assert(!shown.includes(secret), `It shows ${JSON.stringify(secret)}:\n${shown}`);
  }
  return attempt;
}

/** All that an error says, to a person, a log or a debugger, its causes included. */
function* everything(error: unknown): Generator<string> {
  for (let part = error; part instanceof Error; part = part.cause) {
    yield String(part);
    yield part.stack ?? "";
    yield JSON.stringify(part);
    yield inspect(part, { depth: 9, showHidden: true });
    for (const name of Reflect.ownKeys(part)) yield inspect(Reflect.get(part, name), { depth: 9 });
    if (part instanceof SmtpError) yield part.reply?.toString() ?? "";
  }
}

/** The password and the token in every form that leaves the client, and each line that carries a response. */
function secretsOf(lines: readonly string[]): Set<string> {
  const encodings = [PASS, TOKEN].flatMap((secret) => [
    secret,
    // Base64 of a text looks like this inside of longer ones, at each of three offsets.
    ...["", "x", "xx"].map((before) => btoa(before + secret).slice(before.length + 1, -4)),
  ]);
  const responses = lines.map((line) => line.startsWith("AUTH ") ? line.split(" ")[2] ?? "" : line);
  return new Set([...encodings, ...responses.filter((response) => response.length > 3)]);
}

async function withConversation(
  server: Server,
  lines: string[],
  trace: (event: TraceEvent) => void,
  body: (conversation: Conversation) => Promise<void>,
): Promise<void> {
  const [near, far] = memorySocketPair({ secureTransport: "off" });
  const settings = readOptions({});
  const link = new Link(near);
  const pipeline = new Pipeline(link, { timeouts: settings.timeouts, maxBytesInFlight: 1000, trace });
  const serving = serve(far, server, lines);
  await Conversation.hold(new Session(settings, link, pipeline, trace), body);
  await link.close();
  await serving;
}

async function serve(
  socket: ReturnType<typeof memorySocketPair>[1],
  server: Server,
  lines: string[],
): Promise<void> {
  const writer = socket.writable.getWriter();
  const decoder = new TextDecoder();
  let heard = "";
  for await (const chunk of socket.readable) {
    heard += decoder.decode(chunk, { stream: true });
    for (let end; (end = heard.indexOf("\r\n")) >= 0; heard = heard.slice(end + 2)) {
      const line = heard.slice(0, end);
      lines.push(line);
      await writer.write(new TextEncoder().encode(await server(line) + "\r\n"));
    }
  }
  await socket.close();
}

/** Answers line by line. */
function script(...replies: string[]): Server {
  return () => replies.shift() ?? "421 The script is over";
}

const challenge = (text: string) => `334 ${btoa(text)}`;

interface ScramServerOptions {
  hash?: ScramHash;
  pass?: string;
  binding?: ChannelBinding;
  /** Changes what the server says. */
  first?: (message: string) => string;
  final?: (message: string) => string;
  result?: string;
}

/** The server's half of SCRAM: checks the proof, and signs. */
function scramServer(options: ScramServerOptions = {}): Server & { header: string } {
  const { hash = "SHA-256", pass = PASS, binding, result = "235 2.7.0 Welcome" } = options;
  const { first = (message) => message, final = (message) => message } = options;
  let bare = "";
  let serverFirst = "";
  let state = "begin";
  let verdict = result;
  const server: Server & { header: string } = Object.assign(answer, { header: "" });
  return server;

  async function answer(line: string): Promise<string> {
    if (line === "*") return "501 5.7.0 Cancelled";
    if (state === "begin") {
      assertMatch(line, /^AUTH SCRAM-SHA-(1|256|512)(-PLUS)? \S+$/);
      const [flag, authzid, ...rest] = atob(line.split(" ")[2]!).split(",");
      server.header = `${flag},${authzid},`;
      bare = rest.join(",");
      serverFirst = `${bare.slice(bare.indexOf("r="))}Server,s=${btoa("salt")},i=4096`;
      state = "proof";
      return challenge(first(serverFirst));
    }
    if (state === "signature") return verdict;
    const message = atob(line);
    const withoutProof = message.slice(0, message.indexOf(",p="));
    const { clientProof, serverSignature } = await computeProofs(hash, {
      password: pass,
      salt: new TextEncoder().encode("salt"),
      iterations: 4096,
      authMessage: `${bare},${serverFirst},${withoutProof}`,
    });
    const bound = server.header + (binding === undefined ? "" : String.fromCharCode(...binding.data));
    state = "signature";
    if (
      !withoutProof.startsWith(`c=${btoa(bound)},`) ||
      message.slice(withoutProof.length + 3) !== btoa(String.fromCharCode(...clientProof))
    ) {
      verdict = "535 5.7.8 Wrong";
      return challenge("e=invalid-proof");
    }
    const last = final(`v=${btoa(String.fromCharCode(...serverSignature))}`);
    return last === "" ? result : challenge(last);
  }
}

const EXPORTER: ChannelBinding = { type: "tls-exporter", data: new Uint8Array(32).fill(200) };
const END_POINT: ChannelBinding = { type: "tls-server-end-point", data: new Uint8Array(32).fill(9) };
const ALL =
  "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 XOAUTH2 OAUTHBEARER EXTERNAL ANONYMOUS";
const PLUS = "SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-512-PLUS";

test("authenticate() takes the first mechanism that is on offer", async () => {
  const { mechanism } = await logIn(scramServer({ hash: "SHA-512" }), ALL, PASSWORD);
  assertEquals(mechanism, "SCRAM-SHA-512");
});

for (const hash of ["SHA-1", "SHA-256", "SHA-512"] as const) {
  for (const binding of [EXPORTER, END_POINT]) {
    test(`authenticate() says SCRAM-${hash}-PLUS with ${binding.type}`, async () => {
      const server = scramServer({ hash, binding });
      const name = `SCRAM-${hash}-PLUS`;
      const { mechanism } = await logIn(server, `PLAIN SCRAM-SHA-512 ${name}`, PASSWORD, {
        channelBinding: binding,
      });
      assertEquals([mechanism, server.header], [name, `p=${binding.type},,`]);
    });
  }
}

for (
  const [what, offered, mechanisms, channelBinding, header] of [
    ["cannot bind, and the server can", `${ALL} ${PLUS}`, undefined, undefined, "n,,"],
    ["can bind, and the server does not seem to", ALL, undefined, EXPORTER, "y,,"],
    ["passes over -PLUS on purpose", `${ALL} ${PLUS}`, ["scram-sha-256"], EXPORTER, "n,,"],
  ] as const
) {
  test(`authenticate() says "${header}" where the client ${what}`, async () => {
    const server = scramServer({ hash: mechanisms === undefined ? "SHA-512" : "SHA-256" });
    const auth = { ...PASSWORD, ...(mechanisms && { mechanisms }) };
    const { mechanism } = await logIn(server, offered, auth, { channelBinding });
    assertEquals(server.header, header);
    assert(!mechanism!.endsWith("-PLUS"));
  });
}

test("authenticate() says that it could have bound the channel when -PLUS was offered and is not supported", async () => {
  const scram = scramServer();
  const server: Server = (line) => line.startsWith("AUTH SCRAM-SHA-256-PLUS ") ? "504 5.5.4 No" : scram(line);
  const offered = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
  const { mechanism } = await logIn(server, offered, PASSWORD, { channelBinding: EXPORTER });
  assertEquals([mechanism, scram.header], ["SCRAM-SHA-256", "y,,"]);
});

test("authenticate() fails where the channel of the server is another one", async () => {
  const server = scramServer({ binding: { ...EXPORTER, data: new Uint8Array(32) } });
  const { error } = await logIn(server, "SCRAM-SHA-256-PLUS PLAIN", PASSWORD, { channelBinding: EXPORTER });
  assertEquals([error?.code, error?.reply?.code], ["auth-failed", 535]);
  assertStringIncludes(error!.message, "(invalid-proof)");
});

test("authenticate() says why SCRAM was refused", async () => {
  const { error, lines } = await logIn(scramServer({ pass: "another" }), "SCRAM-SHA-256", PASSWORD);
  assertEquals([error?.code, error?.enhancedCode, error?.command, error?.usable], [
    "auth-failed",
    "5.7.8",
    "AUTH SCRAM-SHA-256",
    true,
  ]);
  assertStringIncludes(error!.message, "(invalid-proof)");
  assertEquals(lines.length, 3);
});

for (
  const [what, options, reason] of [
    ["another nonce", { first: () => `r=attacker,s=${btoa("salt")},i=4096` }, "does not begin with"],
    ["no nonce of its own", { first: (text) => text.replace("Server,", ",") }, "added nothing"],
    ["one iteration", { first: (text) => text.replace("4096", "1") }, "it is 1"],
    ["2^31 iterations", { first: (text) => text.replace("4096", "2147483648") }, "it is 2147483648"],
    ["no salt", { first: (text) => text.replace(/,s=[^,]*/, "") }, "no salt"],
    ["a mandatory extension", { first: (text) => `m=x,${text}` }, "extension"],
    ["nothing", { first: () => "" }, "no nonce"],
    ["a wrong signature", { final: () => `v=${btoa("x".repeat(32))}` }, "signature is wrong"],
    ["an empty signature", { final: () => "v=" }, "signature is wrong"],
    ["a signature that is not base64", { final: () => "v=#" }, "not base64"],
  ] satisfies [string, ScramServerOptions, string][]
) {
  test(`authenticate() gives up SCRAM with a server that sends ${what}`, async () => {
    const { error, lines } = await logIn(scramServer(options), "SCRAM-SHA-256 PLAIN", PASSWORD);
    assertEquals([error?.code, error?.usable, error?.temporary, error?.reply?.code], [
      "auth-failed",
      true,
      false,
      501,
    ]);
    assertStringIncludes(error!.message, reason);
    assertEquals(lines.at(-1), "*");
  });
}

// "Rubbish" and the space are curl's tests 932 and 935.
for (
  const rubbish of ["334 #", "334 Rubbish", "334 PDFAbXg+ IA", "334 PDFAbXg", "334 =", "334-PDFA\r\n334 bXg+"]
) {
  for (const offered of ["CRAM-MD5", "SCRAM-SHA-256", "X-OWN"]) {
    test(`authenticate() cancels ${offered} where the server says ${JSON.stringify(rubbish)}`, async () => {
      const auth = offered === "X-OWN" ? own({}) : PASSWORD;
      const { error, lines } = await logIn(script(rubbish, "501 No"), `${offered} PLAIN`, auth, {}, "none");
      assertStringIncludes(error!.message, "base64");
      assertEquals([error?.code, error?.usable, lines.length, lines[1]], ["auth-failed", true, 2, "*"]);
      assertEquals(error?.attempts.map(({ mechanism, reply }) => [mechanism, reply.code]), [[offered, 501]]);
    });
  }
}

for (const words of ["Username:", "VXNlcm5hbWU6 ", "VXNlcm5hbWU", "Enter your name, please!"]) {
  test(`authenticate() answers LOGIN whatever the challenge is, as in "${words}"`, async () => {
    const { lines, mechanism } = await logIn(
      script(`334 ${words}`, `334 ${words}`, "235 Yes"),
      "LOGIN",
      PASSWORD,
    );
    assertEquals([mechanism, lines], ["LOGIN", ["AUTH LOGIN", btoa(USER), btoa(PASS)]]);
  });
}

test("authenticate() hears that a token was refused though the reason is not base64", async () => {
  for (const [offered, answer] of [["XOAUTH2", ""], ["OAUTHBEARER", "AQ=="]] as const) {
    const { error, lines } = await logIn(script('334 {"status":"400"}', "535 5.7.8 No"), offered, OAUTH);
    assertEquals([lines[1], error?.reply?.code, error?.cause], [answer, 535, undefined]);
    assertStringIncludes(error!.message, "the server does not say why");
  }
});

test("authenticate() does not believe a yes without a signature, and leaves the session", async () => {
  for (const options of [{ final: () => "" }, { final: () => "e=other-error" }]) {
    const { error, mechanism } = await logIn(scramServer(options), "SCRAM-SHA-256 PLAIN", PASSWORD);
    assertEquals(mechanism, undefined);
    assertEquals([error?.code, error?.usable, error?.reply?.code], ["auth-failed", false, 235]);
    assertStringIncludes(error!.message, "signature is missing");
  }
});

test("authenticate() does not believe a yes to the first message of SCRAM", async () => {
  const { error } = await logIn(script("235 Welcome"), "SCRAM-SHA-256", PASSWORD);
  assertEquals([error?.code, error?.usable], ["auth-failed", false]);
});

test("authenticate() does not go on where the server says yes after a wrong signature", async () => {
  const scram = scramServer({ final: () => `v=${btoa("x".repeat(32))}` });
  const server: Server = (line) => line === "*" ? "235 Welcome all the same" : scram(line);
  const { error } = await logIn(server, "SCRAM-SHA-256", PASSWORD);
  assertEquals([error?.code, error?.usable], ["auth-failed", false]);
  assertStringIncludes(error!.message, "signature is wrong");
});

test("authenticate() says the example of RFC 2195 where there is no SCRAM", async () => {
  const server = script(challenge("<1896.697170952@postoffice.reston.mci.net>"), "235 Welcome");
  const auth = { user: "tim", pass: "tanstaaftanstaaf" };
  const { lines, mechanism } = await logIn(server, "LOGIN PLAIN CRAM-MD5", auth, {}, "none");
  assertEquals(mechanism, "CRAM-MD5");
  assertEquals(lines, ["AUTH CRAM-MD5", btoa("tim b913a602c7eda7a495b4e6e7334d3890")]);
});

for (const code of [500, 502, 504, 534]) {
  test(`authenticate() goes on to the next mechanism after ${code}`, async () => {
    const server = script(`${code} No`, `${code} No`, "235 Welcome");
    const { lines, mechanism } = await logIn(server, "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1", PASSWORD);
    assertEquals(mechanism, "LOGIN");
    assertEquals(lines.map((line) => line.split(" ", 2).join(" ")), [
      "AUTH SCRAM-SHA-1",
      "AUTH PLAIN",
      "AUTH LOGIN",
    ]);
  });
}

for (const code of [432, 454, 501, 530, 535, 538, 550]) {
  test(`authenticate() goes on to no other mechanism after ${code}`, async () => {
    const { lines, error } = await logIn(script(`${code} No`), "LOGIN PLAIN", PASSWORD);
    assertEquals([lines.length, error?.code, error?.temporary], [1, "auth-failed", code < 500]);
  });
}

/** How a server refuses a mechanism, and what it knows. */
function refusing(replies: Record<string, string>): Server {
  let name = "";
  let turn = 0;
  return (line) => {
    if (line.startsWith("AUTH ")) {
      name = line.split(" ")[1]!;
      turn = 0;
    } else turn++;
    if (name === "CRAM-MD5" && turn === 0) return challenge("<1@mx.test>");
    if (name === "LOGIN" && turn < 2) return challenge("Name or password:");
    return replies[name] ?? "235 2.7.0 Welcome";
  };
}

const mechanismsIn = (lines: readonly string[]) =>
  lines.filter((line) => line.startsWith("AUTH ")).map((line) => line.split(" ")[1]);
const attemptsOf = (error: SmtpError | undefined) =>
  error?.attempts.map(({ mechanism, reply }) => `${mechanism} ${reply.code}`);

// jstedfast/MailKit#761, smtp.qq.com: the server cannot check CRAM-MD5 for this user.
for (
  const [offered, tried] of [
    ["SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5", ["SCRAM-SHA-256", "PLAIN"]],
    ["SCRAM-SHA-1 LOGIN CRAM-MD5", ["SCRAM-SHA-1", "LOGIN"]],
    ["CRAM-MD5 DIGEST-MD5 LOGIN", ["CRAM-MD5", "LOGIN"]],
    ["CRAM-MD5 PLAIN LOGIN", ["CRAM-MD5", "PLAIN"]],
  ] as const
) {
  for (const code of [432, 535]) {
    test(`authenticate() tries ${tried[1]} once after ${code} to ${tried[0]}, in the clear if told to`, async () => {
      const server = () => refusing({ [tried[0]]: `${code} 5.7.8 No` });
      const done = await logIn(server(), offered, PASSWORD, {}, "none");
      assertEquals([done.mechanism, mechanismsIn(done.lines)], [tried[1], [...tried]]);

      const both = refusing({ [tried[0]]: `${code} Not so`, [tried[1]]: "535 5.7.8 Wrong" });
      const { error, lines } = await logIn(both, offered, PASSWORD, {}, "none");
      assertEquals(mechanismsIn(lines), [...tried]);
      assertEquals([error?.code, error?.reply?.toString(), error?.command, error?.usable, error?.temporary], [
        "auth-failed",
        "535 5.7.8 Wrong",
        `AUTH ${tried[1]}`,
        true,
        false,
      ]);
      assertEquals(attemptsOf(error), [`${tried[0]} ${code}`, `${tried[1]} 535`]);
      assertStringIncludes(error!.message, `535 5.7.8 Wrong (after ${tried[0]}: ${code} Not so)`);
    });
  }
}

test("authenticate() tries PLAIN after SCRAM under verified TLS, and not CRAM-MD5 after PLAIN", async () => {
  const offered = "CRAM-MD5 PLAIN SCRAM-SHA-512";
  const { lines, error } = await logIn(
    refusing({ "SCRAM-SHA-512": "535 No", PLAIN: "535 No" }),
    offered,
    PASSWORD,
  );
  assertEquals([mechanismsIn(lines), attemptsOf(error)], [
    ["SCRAM-SHA-512", "PLAIN"],
    ["SCRAM-SHA-512 535", "PLAIN 535"],
  ]);
});

test("authenticate() tries PLAIN after a proof that SCRAM refuses, and says why in both", async () => {
  const scram = scramServer({ pass: "another" });
  const server: Server = (line) => line.startsWith("AUTH PLAIN ") ? "535 5.7.8 Nor this" : scram(line);
  const { error } = await logIn(server, "SCRAM-SHA-256 PLAIN", PASSWORD);
  assertEquals(error?.attempts.map(({ mechanism, reason }) => [mechanism, reason]), [
    ["SCRAM-SHA-256", "invalid-proof"],
    ["PLAIN", undefined],
  ]);
  assertStringIncludes(error!.message, "(after SCRAM-SHA-256: 535 5.7.8 Wrong (invalid-proof))");
});

test("authenticate() does not hand the password over to a server whose certificate it has not checked", async () => {
  const offered = "SCRAM-SHA-256 PLAIN LOGIN CRAM-MD5";
  const { lines, error } = await logIn(
    refusing({ "SCRAM-SHA-256": "535 No" }),
    offered,
    PASSWORD,
    {},
    "unverified",
  );
  assertEquals([mechanismsIn(lines), attemptsOf(error)], [["SCRAM-SHA-256"], ["SCRAM-SHA-256 535"]]);
  const weak = await logIn(refusing({}), "PLAIN LOGIN CRAM-MD5", PASSWORD, {}, "unverified");
  assertEquals(weak.mechanism, "CRAM-MD5");
  const plain = await logIn(refusing({}), "PLAIN LOGIN", PASSWORD, {}, "unverified");
  assertEquals(plain.mechanism, "PLAIN");
});

test("authenticate() falls back to nothing that the caller has not named", async () => {
  const server = () => refusing({ "SCRAM-SHA-256": "535 No", "SCRAM-SHA-1": "535 No", "CRAM-MD5": "535 No" });
  for (
    const mechanisms of [["SCRAM-SHA-256"], ["SCRAM-SHA-256", "SCRAM-SHA-1"], ["SCRAM-SHA-1", "CRAM-MD5"]]
  ) {
    const { lines } = await logIn(server(), ALL, { ...PASSWORD, mechanisms });
    assertEquals(mechanismsIn(lines), [mechanisms[0]]);
  }
  const named = { ...PASSWORD, mechanisms: ["scram-sha-256", "cram-md5", "login", "plain"] };
  const { lines, mechanism } = await logIn(server(), ALL, named);
  assertEquals([mechanismsIn(lines), mechanism], [["SCRAM-SHA-256", "LOGIN"], "LOGIN"]);
});

test("authenticate() falls back from a login that is bound to the channel only where the server has no secret for it", async () => {
  const offered = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN";
  const channel = { channelBinding: EXPORTER };
  const none = await logIn(refusing({ "SCRAM-SHA-256-PLUS": "535 No" }), offered, PASSWORD, channel);
  assertEquals(none.mechanism, "PLAIN");
  // The proof was refused: somebody may be in the middle.
  const refused = await logIn(
    scramServer({ pass: "another", binding: EXPORTER }),
    offered,
    PASSWORD,
    channel,
  );
  assertEquals(mechanismsIn(refused.lines), ["SCRAM-SHA-256-PLUS"]);
  // By name it never falls back.
  for (
    const mechanisms of [["SCRAM-SHA-256-PLUS", "PLAIN"], ["SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-1-PLUS"]]
  ) {
    const server = refusing({ [mechanisms[0]!]: "535 No" });
    const { lines } = await logIn(server, offered, { ...PASSWORD, mechanisms }, channel);
    assertEquals(mechanismsIn(lines), [mechanisms[0]]);
  }
});

for (const reason of ["channel-bindings-dont-match", "server-does-support-channel-binding"]) {
  test(`authenticate() does not hand the password over where SCRAM says ${reason}`, async () => {
    const server = script(challenge(`e=${reason}`), "535 5.7.8 No");
    const { lines, error } = await logIn(server, "SCRAM-SHA-256 PLAIN", PASSWORD, {
      channelBinding: EXPORTER,
    });
    assertEquals([mechanismsIn(lines), error?.reply?.code], [["SCRAM-SHA-256"], 535]);
    assertEquals(error?.attempts[0]?.reason, reason);
  });
}

test("authenticate() does not hand the password over to a server that cannot prove itself, whatever it replies", async () => {
  for (const reply of ["501 Cancelled", "535 5.7.8 Cancelled"]) {
    for (const options of [{ final: () => `v=${btoa("x".repeat(32))}` }, { first: () => "r=attacker" }]) {
      const scram = scramServer(options);
      const server: Server = (line) => line === "*" ? reply : scram(line);
      const { lines, error } = await logIn(server, "SCRAM-SHA-256 PLAIN", PASSWORD);
      assertEquals([mechanismsIn(lines), lines.at(-1), error?.code], [["SCRAM-SHA-256"], "*", "auth-failed"]);
    }
  }
});

test("authenticate() goes on from PLAIN to LOGIN, on the last try too, where PLAIN is not supported", async () => {
  const server = refusing({ "SCRAM-SHA-256": "535 No", PLAIN: "502 Invalid input" });
  const { lines, mechanism } = await logIn(server, "SCRAM-SHA-256 PLAIN LOGIN", PASSWORD);
  assertEquals([mechanismsIn(lines), mechanism], [["SCRAM-SHA-256", "PLAIN", "LOGIN"], "LOGIN"]);

  const neither = refusing({ "SCRAM-SHA-256": "535 5.7.8 No", PLAIN: "504 What?", LOGIN: "504 What?" });
  const { error } = await logIn(neither, "SCRAM-SHA-256 PLAIN LOGIN", PASSWORD);
  assertEquals([error?.code, error?.reply?.code, error?.command], ["auth-failed", 535, "AUTH SCRAM-SHA-256"]);
  assertEquals(attemptsOf(error), ["SCRAM-SHA-256 535", "PLAIN 504", "LOGIN 504"]);
  assertStringIncludes(error!.message, "(then PLAIN: 504 What?; LOGIN: 504 What?)");
});

test("authenticate() says that the login was refused where the server then says 421", async () => {
  const server = refusing({ "SCRAM-SHA-256": "535 5.7.8 No", PLAIN: "421 4.7.0 Too many errors" });
  const { error, lines } = await logIn(server, "SCRAM-SHA-256 PLAIN", PASSWORD);
  assertEquals(lines.length, 2);
  assertEquals([error?.code, error?.reply?.code, error?.temporary, error?.usable], [
    "auth-failed",
    535,
    false,
    false,
  ]);
  assertEquals(error?.cause instanceof SmtpError && error.cause.code, "service-unavailable");
});

test("authenticate() guesses twice at most, whatever is on offer and whatever the server replies", () => {
  const names = ALL.split(" ").filter((name) => mechanismsFor(PASSWORD).includes(name));
  const replies = ["235 Yes", "535 No", "504 No", "501 5.5.4 No", "454 No", "550 No", "432 No"];
  return fc.assert(fc.asyncProperty(
    fc.shuffledSubarray(names, { minLength: 1 }),
    fc.option(fc.shuffledSubarray(names, { minLength: 1 }), { nil: undefined }),
    fc.array(fc.constantFrom(...replies), { minLength: names.length, maxLength: names.length }),
    fc.constantFrom<Protection>("verified", "unverified", "none"),
    async (offered, mechanisms, given, protection) => {
      const server = refusing(Object.fromEntries(names.map((name, i) => [name, given[i]!])));
      const auth = { ...PASSWORD, ...(mechanisms && { mechanisms }) };
      const { lines, mechanism, error } = await logIn(server, offered.join(" "), auth, {}, protection);
      const tried = mechanismsIn(lines).map((name) => name!);
      const guesses = tried.filter((name) => !/^50/.test(given[names.indexOf(name)]!));
      const [first, second, ...more] = guesses;
      assertEquals([more, new Set(tried).size], [[], tried.length]);
      if (second !== undefined) {
        assert(protection !== "unverified" && /^(SCRAM|CRAM)/.test(first!) && /^(PLAIN|LOGIN)$/.test(second));
        assertMatch(given[names.indexOf(first!)]!, /^(432|535)/);
      }
      for (const name of tried) assert(offered.includes(name) && (mechanisms?.includes(name) ?? true));
      if (error === undefined) assertEquals(mechanism, tried.at(-1));
      else assertEquals(error.attempts.map(({ mechanism }) => mechanism), tried);
    },
  ));
});

test("authenticate() is temporary where the last try fails for a while only", async () => {
  const server = refusing({ "SCRAM-SHA-256": "535 No", PLAIN: "454 4.7.0 Later" });
  const { error } = await logIn(server, "SCRAM-SHA-256 PLAIN", PASSWORD);
  assertEquals([error?.code, error?.temporary, error?.reply?.code], ["auth-failed", true, 454]);
});

test("authenticate() says that a server closes the session, which is no refused login", async () => {
  const { error } = await logIn(script("421 4.3.2 Going down"), "PLAIN LOGIN", PASSWORD);
  assertEquals([error?.code, error?.temporary, error?.usable], ["service-unavailable", true, false]);
});

for (
  const reply of [
    ...["501 5.5.2 Cannot parse this", "501 5.5.4 Bad argument", "535 5.5.4 Optional argument not permitted"],
    ...["555 5.5.2 Syntax error", "503 5.5.1 No such command", "500 5.5.6 Line too long"],
  ]
) {
  test(`authenticate() goes on to the next mechanism after "${reply}"`, async () => {
    const { lines, mechanism } = await logIn(refusing({ PLAIN: reply }), "LOGIN PLAIN", PASSWORD);
    assertEquals([mechanismsIn(lines), mechanism], [["PLAIN", "LOGIN"], "LOGIN"]);
  });
}

test("authenticate() lists what was tried where nothing is supported, and both tokens where two were refused", async () => {
  const { error } = await logIn(script("504 5.5.4 No", "500 What?"), "LOGIN PLAIN", PASSWORD);
  assertEquals([error?.code, attemptsOf(error)], ["auth-unsupported", ["PLAIN 504", "LOGIN 500"]]);
  assertStringIncludes(error!.message, "it offers LOGIN, PLAIN (PLAIN: 504 5.5.4 No; LOGIN: 500 What?)");
  const accessToken = (refused?: string) => refused === undefined ? "old-token" : TOKEN;
  const tokens = await logIn(script("535 Old", "535 New"), "XOAUTH2", { user: USER, accessToken });
  assertEquals(attemptsOf(tokens.error), ["XOAUTH2 535", "XOAUTH2 535"]);
});

test("authenticate() passes over a mechanism that cannot carry the credentials", async () => {
  // U+1FAE0 is unknown to Unicode 3.2: SASLprep refuses it in passwords, and SCRAM cannot be spoken.
  const auth = { user: USER, pass: `${PASS}\u{1fae0}` };
  const { mechanism } = await logIn(script("235 Welcome"), "SCRAM-SHA-256 PLAIN", auth);
  assertEquals(mechanism, "PLAIN");
  const { error, lines } = await logIn(script(), "SCRAM-SHA-256", auth);
  assertEquals([error?.code, error?.usable, lines.length], ["auth-unsupported", true, 0]);
  assertStringIncludes(error!.message, "Unassigned");
});

test("authenticate() says what is on offer where nothing fits", async () => {
  const { error } = await logIn(script(), "GSSAPI NTLM DIGEST-MD5", PASSWORD);
  assertEquals([error?.code, error?.usable], ["auth-unsupported", true]);
  assertStringIncludes(error!.message, "GSSAPI, NTLM, DIGEST-MD5");
});

test("authenticate() takes the mechanisms that it is told to, in that order", async () => {
  const auth = { ...PASSWORD, mechanisms: ["login", "PLAIN"] };
  const { lines, mechanism } = await logIn(script("504 No", "235 Welcome"), ALL, auth);
  assertEquals([lines[0], mechanism], ["AUTH LOGIN", "PLAIN"]);
});

test("authenticate() with an authzid takes no mechanism that cannot carry it", async () => {
  const auth = { ...PASSWORD, authzid: "other" };
  const { lines } = await logIn(script("235 Welcome"), "LOGIN CRAM-MD5 PLAIN", auth);
  assertEquals(lines, [`AUTH PLAIN ${btoa(`other\0${USER}\0${PASS}`)}`]);
  const { error } = await logIn(script(), "LOGIN CRAM-MD5", auth);
  assertEquals(error?.code, "auth-unsupported");
});

for (
  const [name, auth, line] of [
    ["EXTERNAL", { external: true }, "AUTH EXTERNAL ="],
    ["EXTERNAL", { external: "other" }, `AUTH EXTERNAL ${btoa("other")}`],
    ["ANONYMOUS", { anonymous: "sirhc" }, "AUTH ANONYMOUS c2lyaGM="],
  ] as const
) {
  test(`authenticate() says "${line}"`, async () => {
    const { lines, mechanism } = await logIn(script("235 Welcome"), ALL, auth);
    assertEquals([mechanism, lines], [name, [line]]);
  });
}

const REFUSED = challenge('{"status":"invalid_token","scope":"mail"}');

test("authenticate() says where it has connected to in OAUTHBEARER, and answers its error with 0x01", async () => {
  const { lines, error } = await logIn(script(REFUSED, "535 5.7.1 No"), "XOAUTH2 OAUTHBEARER", OAUTH, {
    hostname: "server.example.com",
    port: 587,
  });
  const initial = `n,a=${USER},\x01host=server.example.com\x01port=587\x01auth=Bearer ${TOKEN}\x01\x01`;
  assertEquals(lines, [`AUTH OAUTHBEARER ${btoa(initial)}`, "AQ=="]);
  assertEquals([error?.code, error?.enhancedCode], ["auth-failed", "5.7.1"]);
  assertStringIncludes(error!.message, "(status invalid_token, scope mail)");
});

test("authenticate() answers the error of XOAUTH2 with an empty line", async () => {
  const { lines, error } = await logIn(script(REFUSED, "535 5.7.8 No"), "XOAUTH2", OAUTH);
  assertEquals(lines, [`AUTH XOAUTH2 ${btoa(`user=${USER}\x01auth=Bearer ${TOKEN}\x01\x01`)}`, ""]);
  assertStringIncludes(error!.message, "(status invalid_token, scope mail)");
});

test("authenticate() does not believe a server that refuses a token and says yes", async () => {
  for (const offered of ["XOAUTH2", "OAUTHBEARER"]) {
    const { error } = await logIn(script(REFUSED, "235 Welcome"), offered, OAUTH);
    assertEquals([error?.code, error?.usable], ["auth-failed", false]);
  }
});

test("authenticate() asks for a fresh token once, where one was refused, and tells which", async () => {
  const asked: (string | undefined)[] = [];
  const accessToken = (refused?: string) => {
    asked.push(refused);
    return Promise.resolve(refused === undefined ? "old-token" : TOKEN);
  };
  const server = script("535 5.7.8 Expired", "235 Welcome");
  const { lines, mechanism } = await logIn(server, "XOAUTH2", { user: USER, accessToken });
  assertEquals([asked, lines.length, mechanism], [[undefined, "old-token"], 2, "XOAUTH2"]);

  asked.length = 0;
  const refused = await logIn(script("535 No", "535 No"), "XOAUTH2", { user: USER, accessToken });
  assertEquals([asked.length, refused.lines.length, refused.error?.code], [2, 2, "auth-failed"]);
});

test("authenticate() does not try a token again that was refused, nor any after a temporary failure", async () => {
  let asked = 0;
  const accessToken = () => (asked++, TOKEN);
  assertEquals((await logIn(script("535 No"), "XOAUTH2", { user: USER, accessToken })).lines.length, 1);
  assertEquals(asked, 2);
  asked = 0;
  const { error } = await logIn(script("454 4.7.0 Later"), "XOAUTH2", { user: USER, accessToken });
  assertEquals([asked, error?.temporary], [1, true]);
});

test("authenticate() asks for no token where no mechanism takes one", async () => {
  const accessToken = () => assert(false, "It was asked for a token") as never;
  const { error } = await logIn(script(), "PLAIN", { user: USER, accessToken });
  assertEquals(error?.code, "auth-unsupported");
});

test("authenticate() says that a token could not be had", async () => {
  const failure = new Error("The token server is down");
  const { error, lines } = await logIn(script(), "XOAUTH2", {
    user: USER,
    accessToken: () => Promise.reject(failure),
  });
  assertEquals([error?.code, error?.cause, error?.usable, lines.length], ["auth-failed", failure, true, 0]);
  const accessToken = (() => undefined) as unknown as () => string;
  const other = await logIn(script(), "XOAUTH2", { user: USER, accessToken });
  assert(other.error?.cause instanceof TypeError);
});

test("authenticate() says that a token has characters that no server could read", async () => {
  const { error } = await logIn(script(), "XOAUTH2 OAUTHBEARER", { user: USER, accessToken: `${TOKEN}\n` });
  assertEquals(error?.code, "auth-unsupported");
  assertStringIncludes(error!.message, "visible ASCII");
});

const own = (mechanism: Partial<SaslMechanism>): Auth => ({
  mechanism: () => ({ name: "X-OWN", respond: () => new TextEncoder().encode("answer"), ...mechanism }),
});

test("authenticate() gives a mechanism of the user's own what it knows about the session", async () => {
  let context: SaslContext | undefined;
  const connection = { hostname: "mx.test", port: 25, channelBinding: EXPORTER };
  await logIn(
    script("235 Welcome"),
    "X-OWN PLAIN",
    {
      mechanism: (given) => {
        context = given;
        return { name: "X-OWN", respond: (challenge) => challenge };
      },
    },
    connection,
  );
  assertEquals(context, { ...connection, offered: ["X-OWN", "PLAIN"] });
});

test("authenticate() waits for an initial response, and sends it alone where it must", async () => {
  class Slow implements SaslMechanism {
    readonly name = "X-OWN";
    readonly #word = "hello";
    initialResponse(): Promise<Uint8Array> {
      return Promise.resolve(new TextEncoder().encode(this.#word));
    }
    respond(challenge: Uint8Array): Uint8Array {
      return challenge.map((byte) => byte + 1);
    }
  }
  const mechanism = () => new Slow();
  assertEquals((await logIn(script("235 Yes"), "X-OWN", { mechanism })).lines, ["AUTH X-OWN aGVsbG8="]);
  const { lines } = await logIn(script("334 ", "334 YQ==", "235 Yes"), "X-OWN", {
    mechanism,
    initialResponse: false,
  });
  assertEquals(lines, ["AUTH X-OWN", "aGVsbG8=", "Yg=="]);
});

/** How many octets of an initial response fit in: "AUTH X-OWN ", base64 and the line end are 512 octets at most. */
const FITS = (512 - 13 - 3) / 4 * 3;

test("authenticate() keeps an initial response out of a command that would be longer than 512 octets", async () => {
  const { lines } = await logIn(script("235 Yes"), "X-OWN", own({ initialResponse: new Uint8Array(FITS) }));
  assertEquals([lines.length, lines[0]!.length + 2], [1, 509]);
  const longer = await logIn(
    script("334 ", "235 Yes"),
    "X-OWN",
    own({ initialResponse: new Uint8Array(FITS + 1) }),
  );
  assertEquals(longer.lines, ["AUTH X-OWN", btoa("\0".repeat(FITS + 1))]);
  // The name's length counts: with "AUTH X-FOUR " a group less would fit.
  for (const [name, octets] of [["X-OWN", 509], ["X-SEVEN", 511], ["X-EIGHT8", 512]] as const) {
    const mechanism = own({ name, initialResponse: new Uint8Array(FITS) });
    const { lines } = await logIn(script("235 Yes"), name, mechanism);
    assertEquals(lines[0]!.length + 2, octets);
  }
  const nine = own({ name: "X-NINE999", initialResponse: new Uint8Array(FITS) });
  assertEquals((await logIn(script("334 ", "235 Yes"), "X-NINE999", nine)).lines[0], "AUTH X-NINE999");
});

for (
  const [server, tooLong] of [
    ["Dovecot", "500 5.5.2 Line too long"],
    ["Gmail", "555-5.5.2 Syntax error, goodbye.\r\n555 5.5.2 Line too long"],
  ] as const
) {
  for (const offered of ["XOAUTH2", "OAUTHBEARER"]) {
    test(`authenticate() says ${offered} with a token of 2,000 characters to a server as strict as ${server}`, async () => {
      const strict: Server = (line) =>
        line.startsWith("AUTH ") ? line.length + 2 > 512 ? tooLong : "334 " : "235 2.7.0 Accepted";
      const accessToken = TOKEN.slice(0, -2).repeat(50).slice(0, 2_000);
      const { lines, mechanism } = await logIn(strict, offered, { user: USER, accessToken });
      assertEquals([lines.length, lines[0], mechanism], [2, `AUTH ${offered}`, offered]);
      assertStringIncludes(atob(lines[1]!), `auth=Bearer ${accessToken}\x01`);
    });
  }
}

test("authenticate() says nothing where no line can carry the initial response", async () => {
  // 12,288 octets with the line end (RFC 4954, section 4) are 9,213 octets before base64.
  const { lines } = await logIn(
    script("334 ", "235 Yes"),
    "X-OWN",
    own({ initialResponse: new Uint8Array(9_213) }),
  );
  assertEquals(lines, ["AUTH X-OWN", "A".repeat(12_284)]);
  const longer = await logIn(script(), "X-OWN", own({ initialResponse: new Uint8Array(9_214) }));
  assertEquals([longer.error?.code, longer.error?.usable, longer.lines], ["auth-unsupported", true, []]);
  assertStringIncludes(longer.error!.message, "its response has 12288 octets in base64, the most is 12286");

  const token = await logIn(script(), "XOAUTH2", { user: USER, accessToken: TOKEN.repeat(400) });
  assertEquals([token.error?.code, token.lines], ["auth-unsupported", []]);
  assertStringIncludes(token.error!.message, "Cannot authenticate with XOAUTH2");

  const answer = own({ respond: () => new Uint8Array(9_300) });
  const late = await logIn(script("334 ", "501 Cancelled"), "X-OWN", answer);
  assertEquals(late.lines, ["AUTH X-OWN", "*"]);
  assertStringIncludes(late.error!.message, "12402 bytes");
});

test("authenticate() refuses a mechanism that is not offered, cannot be made or fails", async () => {
  const absent = await logIn(script(), "PLAIN", own({}));
  assertEquals([absent.error?.code, absent.lines.length], ["auth-unsupported", 0]);
  const broken = await logIn(script(), "X-OWN", {
    mechanism: () => {
      throw new Error("No ticket");
    },
  });
  assertStringIncludes(broken.error!.message, "No ticket");
  const failing = await logIn(
    script(challenge("?"), "501 Cancelled"),
    "X-OWN",
    own({ respond: () => Promise.reject("no idea") }),
  );
  assertStringIncludes(failing.error!.message, "no idea");
});

test("authenticate() ends a dialogue that has no end", async () => {
  const server: Server = (line) => line === "*" ? "501 Cancelled" : "334 YQ==";
  const { error, lines } = await logIn(server, "X-OWN", own({}));
  assertEquals([error?.code, lines.length], ["auth-failed", 18]);
  assertStringIncludes(error!.message, "16 challenges");
});

test("authenticate() refuses a reply that has no place in a login", async () => {
  const { error } = await logIn(script("354 Go ahead"), "PLAIN", PASSWORD);
  assertEquals(error?.code, "protocol-error");
});

test("authenticate() takes its own words out of a reply that repeats them", async () => {
  const echo: Server = (line) => `535-5.7.8 Not known: ${line}\r\n535 5.7.8 ${line.split(" ").at(-1)}`;
  const { error } = await logIn(echo, "PLAIN", PASSWORD);
  assertEquals(error?.reply?.toString(), "535-5.7.8 Not known: AUTH PLAIN ********\n535 5.7.8 ********");
  assertEquals(error?.enhancedCode, "5.7.8");
  const later: Server = (line) => line.startsWith("AUTH") ? challenge("Name:") : `550 Unrecognized: ${line}`;
  const login = await logIn(later, "LOGIN", PASSWORD);
  assertEquals(login.error?.reply?.toString(), "550 Unrecognized: ********");
});

test("authenticate() takes its own words out of what a server says of a refusal, a cancelled dialogue and a false yes", async () => {
  let initial = "";
  const scope: Server = (line) => {
    if (!line.startsWith("AUTH")) return "535 No";
    initial = line.split(" ")[2]!;
    return challenge(JSON.stringify({ status: 401, scope: initial }));
  };
  const refused = await logIn(scope, "XOAUTH2", OAUTH);
  assertStringIncludes(refused.error!.message, "(status 401, scope ********)");

  const cancelled = await logIn(
    (line) => line === "*" ? `501 Not ${btoa("answer")}` : line === "AUTH X-OWN" ? "334 " : "334 #",
    "X-OWN",
    own({}),
  );
  assertEquals(cancelled.error?.reply?.toString(), "501 Not ********");

  const untrue = await logIn((line) => `235 Welcome ${line}`, "SCRAM-SHA-256", PASSWORD);
  assertEquals(untrue.error?.reply?.toString(), "235 Welcome AUTH SCRAM-SHA-256 ********");
});

test("authenticate() may be called again after a failure, in the same session", async () => {
  const lines: string[] = [];
  const server = script("535 No", "504 No", "235 Welcome");
  const context = { offered: ["PLAIN"] };
  await withConversation(server, lines, () => {}, async (conversation) => {
    await rejectsWith("auth-failed", () => authenticate(conversation, PASSWORD, context, "verified"));
    await rejectsWith("auth-unsupported", () => authenticate(conversation, PASSWORD, context, "verified"));
    assertEquals(await authenticate(conversation, PASSWORD, context, "verified"), "PLAIN");
  });
  assertEquals(lines.length, 3);
});

for (const pieces of ALL_PIECES) {
  test(`SmtpClient has the dialogue of RFC 7677, section 3, with replies in ${pieces}`, async () => {
    const { socket, done } = replay(
      `
      S: 220 mx.test ESMTP
      C: EHLO client.test
      S: 250-mx.test
      S: 250 AUTH SCRAM-SHA-256
      C: AUTH SCRAM-SHA-256 ${btoa("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")}
      S: 334 ${btoa("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")}
      C: ${
        btoa(
          "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
      }
      S: 334 ${btoa("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")}
      C: 
      S: 235 2.7.0 Authentication successful
      C: QUIT
      S: 221 Bye`,
      pieces,
    );
    const mechanism = () =>
      new Scram({
        hash: "SHA-256",
        credentials: { user: "user", pass: "pencil" },
        plus: false,
        channelBinding: undefined,
        nonce: "rOprNGfwEbeRWgbNEkqO",
      });
    const states: string[] = [];
    {
      await using client = await SmtpClient.connect({
        socket,
        clientName: "client.test",
        security: "none",
        auth: { mechanism },
        trace: (event) => event.type === "state" && states.push(formatTrace(event)),
      });
      assert(client.authenticated);
    }
    await done;
    assert(states.includes("*  authenticated: SCRAM-SHA-256"));
  });
}

for (
  const [what, auth, reason] of [
    ["nothing to log in with", {}, "it has none"],
    ["a user alone", { user: USER }, "it has none"],
    ["a password and a token", { ...PASSWORD, ...OAUTH }, "pass and accessToken"],
    ["a password without a user", { pass: PASS }, "auth.user"],
    ["a password that is not there", { user: USER, pass: undefined }, "auth.pass"],
    ["a token without a user", { accessToken: TOKEN }, "auth.user"],
    ["a token that is a number", { user: USER, accessToken: 1 }, "auth.accessToken"],
    ["NUL in a password", { user: USER, pass: `${PASS}\0` }, "auth.pass"],
    ["NUL in a user", { user: "\0", pass: PASS }, "auth.user"],
    ["NUL in an authzid", { ...PASSWORD, authzid: "\0" }, "auth.authzid"],
    ["an external that is false", { external: false }, "auth.external"],
    ["an anonymous that is true", { anonymous: true }, "auth.anonymous"],
    ["a mechanism that is an object", { mechanism: { name: "PLAIN" } }, "auth.mechanism"],
    [
      "a mechanism that the credentials do not allow",
      { ...PASSWORD, mechanisms: ["XOAUTH2"] },
      "must be an array of SCRAM",
    ],
    [
      "a mechanism that nobody knows",
      { ...OAUTH, mechanisms: ["XOAUTH2", "X"] },
      "must be an array of OAUTHBEARER, XOAUTH2",
    ],
    ["no mechanism at all", { ...PASSWORD, mechanisms: [] }, "must be an array of SCRAM"],
    ["a mechanism that is not in a list", { ...PASSWORD, mechanisms: "PLAIN" }, "must be an array of SCRAM"],
    ["a password that is missing", { user: USER, pass: undefined }, "it is of type undefined"],
    ["null", null, "auth must be an object, the current value is null"],
    ["nothing but a password", PASS, "auth must be an object, the current value is a string"],
    [
      "the names of denomailer",
      { username: USER, password: PASS },
      '"auth.username", use auth.user; there is no option "auth.password", use auth.pass',
    ],
    [
      "nodemailer's type",
      { ...PASSWORD, type: "login" },
      '"auth.type", leave it out: pass is for a password, accessToken for OAuth 2.0',
    ],
    ["nodemailer's method", { ...PASSWORD, method: "PLAIN" }, '"auth.method", use auth.mechanisms'],
    [
      "nodemailer's refreshToken",
      { ...OAUTH, refreshToken: TOKEN },
      '"auth.refreshToken", use auth.accessToken, and refreshToken() or clientCredentials() of',
    ],
    ["an option that is misspelt", { ...PASSWORD, mechanism_s: [] }, '"auth.mechanism_s", did you mean'],
    ["an authzid with a token", { ...OAUTH, authzid: "x" }, "it has no meaning with auth.accessToken"],
    ["a user with external", { external: true, user: USER }, "it has no meaning with auth.external"],
  ] as const
) {
  test(`SmtpClient.connect() refuses ${what} in auth, and shows no secret`, async () => {
    const error = await assertRejects(
      () => SmtpClient.connect({ auth: auth as unknown as Auth }),
      TypeError,
      reason,
    );
    for (const shown of everything(error)) assert(!shown.includes(PASS) && !shown.includes(TOKEN), shown);
  });
}

test("checkAuth() takes everything that auth may be", () => {
  const accepted: Auth[] = [
    PASSWORD,
    { ...PASSWORD, authzid: "other", mechanisms: ["plain", "SCRAM-SHA-1-PLUS"], initialResponse: false },
    OAUTH,
    { ...OAUTH, accessToken: () => TOKEN, mechanisms: ["XOAUTH2"] },
    { external: true },
    { external: "other", mechanisms: ["EXTERNAL"] },
    { anonymous: "" },
    own({}),
  ];
  for (const auth of accepted) checkAuth(auth);
});

test("checkAuth() counts what is undefined as left out, unless nothing else is there", () => {
  const auth = { ...PASSWORD, accessToken: undefined, mechanism: undefined } as unknown as Auth;
  assertEquals({ ...checkAuth(auth) }, PASSWORD);
  const none = { user: "tim", pass: undefined, accessToken: undefined } as unknown as Auth;
  assertThrows(() => checkAuth(none), TypeError, "auth.pass must be a string without NUL");
});

test("SmtpClient.connect() logs in with a password beside an access token that is undefined", () =>
  converse(
    `S: 220 mx.test
    ${ehlo("AUTH PLAIN")}
    C: AUTH PLAIN AHRpbQB0YW5zdGFhZi10YW5zdGFhZg==
    S: 235 Ok
    ${QUIT}`,
    (client) => Promise.resolve(assertEquals(client.authenticated, true)),
    { security: "none", auth: { user: "tim", pass: PASS, accessToken: undefined } as unknown as Auth },
  ));
