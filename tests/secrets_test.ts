/** Every mechanism, and whatever a server makes of it: what is seen of a login shows nothing of it. */
import { assert, assertEquals } from "@std/assert";
import { inspect } from "node:util";
import { SmtpChannel } from "../src/client/channel.ts";
import { SmtpClient } from "../src/client/client.ts";
import type { Auth, SmtpClientOptions } from "../src/client/options.ts";
import { SmtpError } from "../src/errors.ts";
import type { Logger } from "../src/trace.ts";
import { computeProofs } from "../src/sasl/scram_keys.ts";
import type { ScramHash } from "../src/sasl/scram_keys.ts";
import { serveSocket } from "../src/server/mod.ts";
import type { AuthCredentials, ServerHandlers } from "../src/server/mod.ts";
import { memorySocketPair } from "../src/sockets/memory.ts";
import type { Socket } from "../src/sockets/socket.ts";
import { formatTrace } from "../src/trace.ts";
import type { TraceEvent } from "../src/trace.ts";
import { test } from "./support/harness.ts";
import { formsOf } from "./support/secret_forms.ts";
import { textOf } from "./support/secrets.ts";

const USER = "tim@example.com";
const PASS = "correct horse, battery";
const TOKEN = "ya29.a0AfH6SMBx-battery_staple";
const KEYING = new Uint8Array(32).fill(200);

const password: Auth = { user: USER, pass: PASS };
const token: Auth = { user: USER, accessToken: TOKEN };

/** A mechanism of one's own whose words are the password, and whose failures say nothing of it. */
const own: Auth = {
  mechanism: () => ({ name: "X-OWN", respond: () => new TextEncoder().encode(PASS) }),
};

const MECHANISMS: readonly (readonly [name: string, auth: Auth])[] = [
  ...["SHA-1", "SHA-256", "SHA-512"].flatMap((hash) =>
    [`SCRAM-${hash}`, `SCRAM-${hash}-PLUS`].map((name) => [name, password] as const)
  ),
  ["CRAM-MD5", password],
  ["PLAIN", password],
  ["PLAIN", { ...password, authzid: "somebody-else" } as Auth],
  ["PLAIN", { ...password, initialResponse: false } as Auth],
  ["LOGIN", password],
  ["OAUTHBEARER", token],
  ["XOAUTH2", token],
  ["XOAUTH2", { ...token, accessToken: () => Promise.resolve(TOKEN) } as Auth],
  ["EXTERNAL", { external: "the-name-within" }],
  ["ANONYMOUS", { anonymous: "a-word-of-mine" }],
  ["X-OWN", own],
];

/**
 * What a server answers: to AUTH alone (`said` is undefined), or to a response in base64. `turn` counts from 0, which is
 * AUTH.
 */
type Server = (said: string | undefined, turn: number) => string | Promise<string>;

const CHALLENGES: Readonly<Record<string, readonly string[]>> = {
  "CRAM-MD5": [btoa("<1896.697170952@mx.test>")],
  "LOGIN": [btoa("Username:"), btoa("Password:")],
};

/** A server that is ready to listen, and answers so. */
function answering(answer: (said: string) => string): (mechanism: string) => Server {
  return (mechanism) => (said, turn) => {
    const challenge = CHALLENGES[mechanism]?.[turn];
    if (challenge !== undefined || said === undefined) return `334 ${challenge ?? ""}`;
    return said === "*" ? "501 5.7.0 Cancelled" : answer(said);
  };
}

const OUTCOMES: readonly (readonly [what: string, server: (mechanism: string, secret: string) => Server])[] =
  [
    ["is accepted", (mechanism) => mechanism.startsWith("SCRAM-") ? scram(mechanism) : accepting(mechanism)],
    ["is refused", answering(() => "535 5.7.8 Wrong")],
    ["is refused with all that was said", answering((said) => `535 5.7.8 Wrong: ${said}`)],
    [
      "is refused in two lines with all that was said",
      answering((said) => `454-${said}\r\n454 ${said} ${said}`),
    ],
    [
      "is refused with the secret itself",
      (mechanism, secret) => answering(() => `535 5.7.8 Not with ${secret}`)(mechanism),
    ],
    [
      "is refused with the secret in base64",
      (mechanism, secret) => answering(() => `535 5.7.8 Not with ${btoa(secret)}`)(mechanism),
    ],
    ["is not supported", () => (said) => `504 5.5.4 What is ${said}?`],
    ["is taken for a command", () => (said) => `500 5.5.1 Unknown command: "${said}"`],
    ["meets a challenge that is not base64", answering(() => "334 !not base64!")],
    ["meets a challenge that makes no sense", answering(() => `334 ${btoa("?")}`)],
    ["meets its own words as a challenge", answering((said) => `334 ${said}`)],
    [
      "is cancelled, and meets its own words",
      () => (said, turn) => turn > 1 ? `501 ${said}` : `334 ${said ?? "="}`,
    ],
    ["meets a reply that is none", answering((said) => said)],
    ["meets a reply out of place", answering((said) => `354 Go ahead with ${said}`)],
    ["meets a server that goes away", answering((said) => `421 4.7.0 Too much of ${said}`)],
  ];

const accepting = answering(() => "235 2.7.0 Welcome");

/** Shows that it knows the password, as SCRAM wants it. */
function scram(mechanism: string): Server {
  const plus = mechanism.endsWith("-PLUS");
  const hash = mechanism.slice("SCRAM-".length).replace("-PLUS", "") as ScramHash;
  let header = "";
  let bare = "";
  let first = "";
  return async (said) => {
    if (said === "") return "235 2.7.0 Welcome";
    const message = atob(said!);
    if (first === "") {
      const [flag, authzid, ...rest] = message.split(",");
      header = `${flag},${authzid},`;
      bare = rest.join(",");
      first = `${bare.slice(bare.indexOf("r="))}Server,s=${btoa("salt")},i=4096`;
      return `334 ${btoa(first)}`;
    }
    const withoutProof = message.slice(0, message.indexOf(",p="));
    const bound = header + (plus ? String.fromCharCode(...KEYING) : "");
    assertEquals(withoutProof.split(",")[0], `c=${btoa(bound)}`);
    const { serverSignature } = await computeProofs(hash, {
      password: PASS,
      salt: new TextEncoder().encode("salt"),
      iterations: 4096,
      authMessage: `${bare},${first},${withoutProof}`,
    });
    return `334 ${btoa(`v=${btoa(String.fromCharCode(...serverSignature))}`)}`;
  };
}

/** A connection to a server that offers a mechanism; the client takes it for one with TLS. */
function connection(
  mechanism: string,
  server: Server,
): { socket: Socket; said: string[]; done: Promise<void> } {
  const [near, far] = memorySocketPair();
  const said: string[] = [];
  const tls = { protocol: "TLSv1.3", exportKeyingMaterial: () => KEYING };
  const { readable, writable, closed, upgraded } = near;
  const socket: Socket = {
    readable,
    writable,
    closed,
    upgraded,
    secureTransport: "on",
    opened: near.opened.then((info) => ({ ...info, tls })),
    close: (reason) => near.close(reason),
    startTls: (options) => near.startTls(options),
  };
  return { socket, said, done: play(far, mechanism, server, said) };
}

async function play(socket: Socket, mechanism: string, server: Server, said: string[]): Promise<void> {
  const writer = socket.writable.getWriter();
  const say = (reply: string) => writer.write(new TextEncoder().encode(`${reply}\r\n`)).catch(() => {});
  const decoder = new TextDecoder();
  let heard = "";
  let turn = 0;
  await say("220 mx.test");
  for await (const chunk of socket.readable) {
    heard += decoder.decode(chunk, { stream: true });
    for (let end; (end = heard.indexOf("\r\n")) >= 0; heard = heard.slice(end + 2)) {
      const line = heard.slice(0, end);
      if (line.startsWith("EHLO ")) await say(`250-mx.test\r\n250 AUTH ${mechanism}`);
      else if (line === "QUIT") await say("221 Bye");
      else {
        const response = line.startsWith("AUTH ") ? line.split(" ")[2] : line;
        if (response !== undefined && response.length > 3) said.push(response);
        await say(await server(response, turn++));
      }
    }
  }
  await socket.close().catch(() => {});
}

for (const [mechanism, auth] of MECHANISMS) {
  const secret = "pass" in auth ? PASS : "accessToken" in auth ? TOKEN : "anything";
  const kind = Object.keys(auth).filter((key) => key !== "mechanism").join(", ");
  for (const [what, server] of OUTCOMES) {
    test(`${mechanism} (${kind || "one's own"}) shows no secret when it ${what}`, async () => {
      const { socket, said, done } = connection(mechanism, server(mechanism, secret));
      const shown: string[] = [];
      const see = (...words: unknown[]) =>
        void shown.push(words.map((word) => inspect(word, { depth: 9 })).join(" "));
      const logger: Logger = { debug: see, info: see, warn: see, error: see };
      const trace = (event: TraceEvent) =>
        shown.push(formatTrace(event), JSON.stringify(event), inspect(event));
      const options: SmtpClientOptions = { socket, auth, security: "tls", clientName: "client.test" };
      let error: unknown;
      try {
        await using client = await SmtpClient.connect({ ...options, trace, logger });
        assertEquals([client.authenticated, what], [true, "is accepted"]);
        shown.push(inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client));
      } catch (thrown) {
        error = thrown;
        assert(error instanceof SmtpError && what !== "is accepted", inspect(error));
        shown.push(textOf(error));
      }
      await done;
      assert(shown.length > 4);
      const text = shown.join("\n");
      const secrets = [PASS, TOKEN].flatMap(formsOf);
      for (const secret of [...secrets, ...said]) {
        assert(!text.includes(secret), `It shows ${JSON.stringify(secret)}:\n${text}`);
      }
    });
  }
}

/** Speaks to our own server, and gives what can be seen on its side, and what it has answered. */
async function toServer(
  handlers: ServerHandlers,
  ...lines: string[]
): Promise<{ replies: string[]; seen: string }> {
  const [near, far] = memorySocketPair();
  const seen: string[] = [];
  const served = serveSocket(far, {
    serverName: "mx.test",
    allowInsecureAuth: true,
    onError: (error, session) =>
      void seen.push(textOf(error), inspect(session, { depth: 9, showHidden: true })),
  }, {
    ...handlers,
    close: (session) =>
      void seen.push(inspect(session, { depth: 9, showHidden: true }), JSON.stringify(session)),
  });
  const replies: string[] = [];
  {
    await using channel = await SmtpChannel.open({ socket: near });
    for (const line of ["", "EHLO client.test", ...lines]) {
      if (line !== "") await channel.write(`${line}\r\n`);
      const { value } = await channel.replies.next();
      if (value !== undefined) replies.push(value.toString());
    }
  }
  await served;
  return { replies, seen: seen.join("\n") };
}

const PLAIN = btoa(`\0${USER}\0${PASS}`);
const right = ({ user, pass }: AuthCredentials) => user === USER && pass === PASS;

for (
  const [what, code, ...lines] of [
    ["accepts PLAIN", 235, `AUTH PLAIN ${PLAIN}`],
    ["accepts LOGIN", 235, "AUTH LOGIN", btoa(USER), btoa(PASS)],
    ["refuses PLAIN", 535, `AUTH PLAIN ${btoa(`\0nobody\0${PASS}`)}`],
    ["refuses LOGIN", 535, "AUTH LOGIN", btoa("nobody"), btoa(PASS)],
    ["is told base64 that is none", 501, `AUTH PLAIN ${PLAIN}=x`],
    ["is told words that make no sense", 501, `AUTH PLAIN ${btoa(`${USER}\0${PASS}`)}`],
    ["is told more words than AUTH has", 501, `AUTH PLAIN ${PLAIN} ${btoa(PASS)}`],
    ["does not know the mechanism", 504, `AUTH X-OWN ${btoa(PASS)}`],
    ["is told the response without having asked", 500, PLAIN],
    ["is told the password as a command", 500, PASS],
    ["is told the password as the argument of a command", 501, `MAIL FROM:${PASS}`],
    ["is told everything twice", 503, `AUTH PLAIN ${PLAIN}`, `AUTH PLAIN ${PLAIN}`],
    ["is told too much at a time", 500, `AUTH PLAIN ${PLAIN}${"A".repeat(13_000)}`],
  ] as [string, number, ...string[]][]
) {
  test(`serve() shows no secret when it ${what}`, async () => {
    const { replies, seen } = await toServer({ auth: right }, ...lines);
    assertEquals(Number(replies.at(-1)!.slice(0, 3)), code, replies.join("\n"));
    for (const form of formsOf(PASS)) {
      assert(!`${replies.join("\n")}\n${seen}`.includes(form), `${replies}${seen}`);
    }
  });
}

test("serve() shows no secret when the handler of AUTH fails", async () => {
  const auth = () => Promise.reject(new Error("The directory is down"));
  const { replies, seen } = await toServer({ auth }, `AUTH PLAIN ${PLAIN}`);
  assertEquals(replies.at(-1)?.slice(0, 3), "451");
  assert(seen.includes("The directory is down"));
  for (const form of formsOf(PASS)) assert(!`${replies.join("\n")}\n${seen}`.includes(form), seen);
});
