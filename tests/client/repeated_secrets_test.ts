/** What servers repeat of a login, in every form, at every place: no six characters of it are shown. */
import { assert, assertEquals } from "@std/assert";
import { inspect } from "node:util";
import { SmtpClient } from "../../src/client/client.ts";
import type { Auth, SmtpClientOptions } from "../../src/client/options.ts";
import type { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { formatTrace } from "../../src/trace.ts";
import type { Logger, TraceEvent } from "../../src/trace.ts";
import { test } from "../support/harness.ts";
import { mustHide, REPEATED_FORMS as FORMS } from "../support/repeated_forms.ts";
import type { Form } from "../support/repeated_forms.ts";
import { textOf } from "../support/secrets.ts";

const USER = "tim@example.com";
const PASS = `c0rrect h<r&e, "batt'ry" 100%=\\`;
const TOKEN = "ya29.a0AfH6SMBx-battery_staple";
const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MESSAGE = "Subject: Hi\r\n\r\nHello";

const password: Auth = { user: USER, pass: PASS };
const token: Auth = { user: USER, accessToken: TOKEN };
const custom: Auth = {
  mechanism: () => ({ name: "X-OWN", respond: () => new TextEncoder().encode(PASS) }),
};

const LOGINS: readonly (readonly [mechanism: string, auth: Auth])[] = [
  ["PLAIN", password],
  ["LOGIN", password],
  ["CRAM-MD5", password],
  ["SCRAM-SHA-256", password],
  ["OAUTHBEARER", token],
  ["XOAUTH2", token],
  ["X-OWN", custom],
];

const CHALLENGES: Readonly<Record<string, readonly string[]>> = {
  "LOGIN": [btoa("Username:"), btoa("Password:")],
  "CRAM-MD5": [btoa("<1896.697170952@mx.test>")],
};

/** What was sent in a login: the responses as they were, and what is secret in them. */
interface Sent {
  readonly responses: string[];
  readonly secrets: string[];
}

/** The secret part of a response: the name of the user is none. */
function secretOf(response: string): string {
  const text = atob(response);
  const proof = / ([\da-f]{32})$|,p=(.+)$/.exec(text);
  return proof?.[1] ?? proof?.[2] ?? (text.includes(TOKEN) ? TOKEN : text.includes(PASS) ? PASS : response);
}

/**
 * A server that takes a login, or refuses it, and then says what it likes.
 *
 * @param mechanism The mechanism that it offers.
 * @param refusal What it says to the last response of a login; `undefined` for yes.
 * @param later What it says to a command after the login; `undefined` for what is usual.
 */
function serve(
  mechanism: string,
  refusal: ((sent: Sent) => string) | undefined,
  later: (verb: string, sent: Sent) => string | undefined = () => undefined,
): { socket: Socket; sent: Sent; done: Promise<void> } {
  const [near, far] = memorySocketPair();
  const sent: Sent = { responses: [], secrets: [] };
  const run = async () => {
    const writer = far.writable.getWriter();
    const say = (text: string) => writer.write(new TextEncoder().encode(`${text}\r\n`)).catch(() => {});
    await say("220 mx.test");
    let heard = "";
    let turn = -1; // of the login
    let isContent = false;
    const answer = (line: string): string | undefined => {
      const verb = line.split(" ")[0]!;
      if (isContent) {
        if (line !== ".") return undefined;
        isContent = false;
        return later("content", sent) ?? "250 2.0.0 Ok: queued as 4XyZ";
      }
      if (turn >= 0 || verb === "AUTH") {
        const response = verb === "AUTH" ? line.split(" ")[2] : line;
        if (response !== undefined && response !== "*" && response.length > 8) {
          sent.responses.push(response);
          const secret = secretOf(response);
          if (secret !== response) sent.secrets.push(secret);
        }
        turn++;
        if (line === "*") {
          turn = -1;
          return refusal?.(sent) ?? "501 5.7.0 Cancelled";
        }
        const challenge = CHALLENGES[mechanism]?.[turn];
        if (challenge !== undefined || response === undefined) return `334 ${challenge ?? ""}`;
        if (mechanism.startsWith("SCRAM-") && turn === 0) {
          const nonce = /r=([^,]+)/.exec(atob(response))![1];
          return `334 ${btoa(`r=${nonce}Server,s=${btoa("salt")},i=4096`)}`;
        }
        turn = -1;
        return refusal === undefined ? "235 2.7.0 Welcome" : refusal(sent);
      }
      const said = later(verb, sent);
      if (said !== undefined) return said;
      if (verb === "EHLO") return `250-mx.test\r\n250 AUTH ${mechanism}`;
      if (verb === "QUIT") return "221 Bye";
      isContent = verb === "DATA";
      return isContent ? "354 Go ahead" : "250 Ok";
    };
    const decoder = new TextDecoder();
    for await (const chunk of far.readable) {
      heard += decoder.decode(chunk, { stream: true });
      for (let end; (end = heard.indexOf("\r\n")) >= 0; heard = heard.slice(end + 2)) {
        const said = answer(heard.slice(0, end));
        if (said !== undefined) await say(said);
      }
    }
    await far.close().catch(() => {});
  };
  return { socket: near, sent, done: run() };
}

/** All that a program can see of a session. */
class Seen {
  readonly texts: string[] = [];
  readonly #see = (...words: unknown[]) =>
    void this.texts.push(words.map((word) => inspect(word, { depth: 9 })).join(" "));

  options(socket: Socket, auth: Auth): SmtpClientOptions {
    const logger: Logger = { debug: this.#see, info: this.#see, warn: this.#see, error: this.#see };
    const trace = (event: TraceEvent) => {
      this.texts.push(formatTrace(event), JSON.stringify(event), inspect(event));
      if (event.type === "reply") this.reply(event.reply);
    };
    return { socket, auth, trace, logger, security: "none", clientName: "client.test" };
  }

  reply(reply: Reply): void {
    const { text, lines, bytes } = reply;
    this.texts.push(
      text,
      lines.join("\n"),
      new TextDecoder().decode(bytes),
      reply.toString(),
      reply.toWire(),
    );
  }

  /** Does something, and gives the error of it. */
  async try(body: () => Promise<unknown>): Promise<SmtpError | undefined> {
    try {
      await body();
      return undefined;
    } catch (error) {
      this.texts.push(textOf(error));
      assert(error instanceof SmtpError, inspect(error));
      for (let part: unknown = error; part instanceof SmtpError; part = part.cause) {
        if (part.reply !== undefined) this.reply(part.reply);
      }
      return error;
    }
  }

  /** No six characters of a response or of a secret, nor of any form of it, are to be seen. */
  mustHide({ responses, secrets }: Sent, forms: readonly Form[], what: string): void {
    mustHide(this.texts, { repeated: [...responses, ...secrets], secrets, forms }, what);
  }
}

/** Writes a reply whose text is what a form gives. */
function reply(code: string, form: string | string[]): string {
  const lines = [form].flat();
  return lines.map((line, i) => `${code}${i + 1 < lines.length ? "-" : " "}${line}`).join("\r\n");
}

/** A server that repeats what was sent and what is secret in it, in a form. */
const repeating = (code: string, form: Form) => ({ responses, secrets }: Sent) =>
  reply(code, ["What?", ...[...responses, ...secrets].flatMap(form)]);

for (const [how, form] of FORMS) {
  test(`a login that a server refuses, and repeats ${how}, is not shown`, async () => {
    for (const [mechanism, auth] of LOGINS) {
      const { socket, sent, done } = serve(mechanism, (sent) => repeating("535", form)(sent));
      const seen = new Seen();
      const error = await seen.try(() => SmtpClient.connect(seen.options(socket, auth)));
      await done;
      assertEquals([error?.code, error?.reply?.code], ["auth-failed", 535]);
      assert(error!.reply!.text.startsWith("What?\n********"), error!.reply!.text);
      assert(sent.responses.length > 0 && sent.secrets.length > 0);
      seen.mustHide(sent, [form], mechanism);
    }
  });
}

/** Everything that was sent and is secret, in all forms, in one reply. */
const everything = (code: string) => ({ responses, secrets }: Sent) =>
  reply(code, [
    "What?",
    ...[...responses, ...secrets].flatMap((text) => FORMS.flatMap(([, form]) => form(text))),
  ]);

/** Where a server may repeat a login that it has taken. */
const PLACES: readonly (readonly [
  where: string,
  verb: string,
  said: (sent: Sent) => string,
  act: (client: SmtpClient, seen: Seen) => Promise<unknown>,
])[] = [
  ["to MAIL", "MAIL", everything("550"), (client) => client.send(ENVELOPE, MESSAGE)],
  ["to RCPT", "RCPT", everything("450"), (client) => client.send(ENVELOPE, MESSAGE)],
  ["to DATA", "DATA", everything("554"), (client) => client.send(ENVELOPE, MESSAGE)],
  ["to the content", "content", everything("552"), (client) => client.send(ENVELOPE, MESSAGE)],
  ["in a yes to the content", "content", everything("250"), async (client, seen) => {
    const receipt = await client.send(ENVELOPE, MESSAGE);
    seen.reply(receipt.reply);
    seen.texts.push(inspect(receipt, { depth: 9, showHidden: true }), String(receipt.queueId));
  }],
  [
    "as the name of the message",
    "content",
    ({ responses }) => `250 Ok: queued as ${responses[0]}`,
    async (client, seen) => {
      seen.texts.push(String((await client.send(ENVELOPE, MESSAGE)).queueId));
    },
  ],
  [
    "to a second EHLO",
    "EHLO",
    (sent) => everything("250")(sent).replace("What?", `What?\r\n250-X-WORD ${sent.secrets[0]}`),
    async (client, seen) => {
      await client.ehlo();
      const { extensions } = client;
      assertEquals(extensions.get("X-WORD"), "********");
      seen.texts.push(inspect(extensions, { depth: 9, showHidden: true }));
    },
  ],
  ["in a second EHLO that is refused", "EHLO", everything("550"), (client) => client.ehlo()],
  ["to a command", "NOOP", everything("250"), async (client, seen) => seen.reply(await client.noop())],
  ["in help", "HELP", everything("214"), async (client, seen) => seen.reply(await client.help())],
  [
    "in addresses",
    "VRFY",
    ({ secrets }) => `250-<${secrets[0]}@mx.test>\r\n250 <${secrets[0]}>`,
    async (client, seen) => {
      seen.texts.push(inspect(await client.vrfy("tim"), { depth: 9 }));
    },
  ],
  ["with 421", "NOOP", everything("421"), (client) => client.noop()],
  ["out of place", "MAIL", everything("354"), (client) => client.send(ENVELOPE, MESSAGE)],
  ["in what is no reply", "NOOP", ({ secrets }) => `Hello ${secrets[0]}`, (client) => client.noop()],
  [
    "in what is no reply, in base64",
    "NOOP",
    ({ responses }) => `Hello ${responses[0]}`,
    (client) => client.noop(),
  ],
  ["unasked", "NOOP", (sent) => `250 Ok\r\n${everything("421")(sent)}`, async (client) => {
    await client.noop();
    await client.closed;
    await client.noop();
  }],
  ["unasked, and not with 421", "NOOP", (sent) => `250 Ok\r\n${everything("250")(sent)}`, async (client) => {
    await client.noop();
    await client.closed;
    await client.noop();
  }],
  ["to QUIT", "QUIT", everything("221"), (client) => client.quit()],
];

for (const [where, verb, said, act] of PLACES) {
  test(`a login that a server has taken, and repeats ${where}, is not shown`, async () => {
    for (const [mechanism, auth] of LOGINS) {
      if (mechanism.startsWith("SCRAM-")) continue; // its server would have to know the password
      const { socket, sent, done } = serve(
        mechanism,
        undefined,
        (command, sent) => command === verb && sent.responses.length > 0 ? said(sent) : undefined,
      );
      const seen = new Seen();
      const client = await SmtpClient.connect(seen.options(socket, auth));
      await seen.try(() => act(client, seen));
      await seen.try(() => client.quit());
      seen.texts.push(inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client));
      await done;
      assert(
        seen.texts.some((text) => /What\?|[2-5]\d\d[ -].*\*{8}|reply: .*\*{8}/.test(text)),
        "the server was not heard",
      );
      seen.mustHide(sent, FORMS.map(([, form]) => form), mechanism);
    }
  });
}

test("a command of the caller's with the password in it is not shown in the trace and the logger", async () => {
  for (const inTransaction of [false, true]) {
    const { socket, sent, done } = serve(
      "PLAIN",
      undefined,
      (verb) => verb === "X-LOGIN" ? "500 What?" : undefined,
    );
    const seen = new Seen();
    const client = await SmtpClient.connect(seen.options(socket, password));
    if (inTransaction) await client.mail(ENVELOPE.from);
    assertEquals((await client.command(`X-LOGIN ${PASS} ${sent.responses[0]}`)).code, 500);
    await client.quit();
    await done;
    assert(seen.texts.includes("C: X-LOGIN ********"));
    seen.mustHide(sent, [], "command()");
  }
});
