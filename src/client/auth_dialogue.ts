/**
 * The dialogue of one SASL mechanism: AUTH, challenges, responses, and the reply that ends it (RFC 4954, section 4).
 *
 * @module
 */
import { renderCommand, renderLine } from "../core/command.ts";
import { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { SmtpErrorInit } from "../errors.ts";
import { decodeBase64, encodeBase64 } from "../sasl/base64.ts";
import type { SaslMechanism } from "../sasl/mechanism.ts";
import { MASK } from "../trace.ts";
import type { Conversation } from "./conversation.ts";
import { messageOf } from "./failure.ts";

/** The longest AUTH command (RFC 4954, section 4): a longer initial response waits for the server's first challenge. */
const MAX_COMMAND = 12_288;

/** A dialogue longer than any mechanism's: a server that never comes to an end. */
const MAX_CHALLENGES = 16;

/** Carries a mechanism's words, and keeps them out of everything that is shown. */
export class AuthDialogue {
  readonly #conversation: Conversation;
  readonly #mechanism: SaslMechanism;
  /**
   * The secrets themselves, and what was sent, in base64: servers that take a response for a command repeat it in their
   * reply.
   */
  readonly #secrets: string[];

  /**
   * @param conversation Where to.
   * @param mechanism Whose words to carry.
   * @param secrets The texts that must not be shown, also if the server repeats them.
   */
  constructor(conversation: Conversation, mechanism: SaslMechanism, secrets: readonly string[]) {
    this.#conversation = conversation;
    this.#mechanism = mechanism;
    this.#secrets = [...secrets];
  }

  /**
   * Has the dialogue.
   *
   * @param initial The mechanism's initial response.
   * @param withCommand Whether it may travel with the AUTH command.
   * @returns The reply that ends it: 235, or why not, with nothing in it of what was sent.
   * @throws {SmtpError} `"auth-failed"` if the mechanism gave up, or the server has said yes without proving who it is.
   */
  async hold(initial: Uint8Array | undefined, withCommand: boolean): Promise<Reply> {
    const { name } = this.#mechanism;
    const command = initial !== undefined && withCommand ? this.#commandWith(initial) : undefined;
    let pending = command === undefined ? initial : undefined;
    let reply = command === undefined
      ? await this.#conversation.say(renderCommand({ verb: "AUTH", mechanism: name }), "auth")
      : await this.#conversation.say(command, "auth", `AUTH ${name} ${MASK}`, this.#shown);
    for (let challenges = 0; reply.code === 334; challenges++) {
      let line: string;
      try {
        if (challenges >= MAX_CHALLENGES) {
          throw new Error(`The server has sent ${challenges} challenges and no result`);
        }
        line = this.#lineOf(pending ?? await this.#mechanism.respond(decodeBase64(reply.text)));
        pending = undefined;
      } catch (cause) {
        return await this.#cancel(cause);
      }
      reply = await this.#conversation.say(line, "auth", MASK, this.#shown);
    }
    if (reply.positive) await this.#finish(reply);
    if (reply.positive || reply.temporary || reply.permanent) return this.#withoutSecrets(reply);
    throw new SmtpError("protocol-error", `Unexpected reply to AUTH: ${reply.code}`, {
      phase: "auth",
      reply: this.#withoutSecrets(reply),
    });
  }

  /** A 235 is not enough if the mechanism asks the server for a proof. */
  async #finish(reply: Reply): Promise<void> {
    try {
      await this.#mechanism.finish?.();
    } catch (cause) {
      // The session belongs to somebody who may not be the server: nothing more is to be said in it.
      throw this.failed(`The login is not to be trusted: ${messageOf(cause)}`, {
        cause,
        reply,
        temporary: false,
        usable: false,
      });
    }
  }

  /** Ends a dialogue that makes no sense (RFC 4954, section 4), so that the session can go on. */
  async #cancel(cause: unknown): Promise<never> {
    const reply = await this.#conversation.say("*\r\n", "auth", "*", this.#shown);
    throw this.failed(`The login was given up: ${messageOf(cause)}`, {
      cause,
      reply,
      temporary: false,
      usable: reply.permanent || reply.temporary,
    });
  }

  /**
   * Makes an error of this dialogue, with nothing in it of what was sent.
   *
   * @param message What to tell a person.
   * @param init What else is known.
   * @returns The error.
   */
  failed(message: string, init: Omit<SmtpErrorInit, "phase" | "command"> & { reply: Reply }): SmtpError {
    return new SmtpError("auth-failed", this.#mask(message), {
      ...init,
      phase: "auth",
      command: `AUTH ${this.#mechanism.name}`,
      reply: this.#withoutSecrets(init.reply),
    });
  }

  #commandWith(response: Uint8Array): string | undefined {
    const { name } = this.#mechanism;
    // An empty initial response is written "=" (RFC 4954, section 4).
    const initialResponse = response.length === 0 ? "=" : encodeBase64(response);
    if (initialResponse.length + name.length + 8 > MAX_COMMAND) return undefined;
    this.#secrets.push(initialResponse);
    return renderCommand({ verb: "AUTH", mechanism: name, initialResponse });
  }

  #lineOf(response: Uint8Array): string {
    const encoded = encodeBase64(response);
    this.#secrets.push(encoded);
    return renderLine(encoded);
  }

  #withoutSecrets(reply: Reply): Reply {
    const lines = reply.lines.map((line) => this.#mask(line));
    return lines.some((line, i) => line !== reply.lines[i]) ? new Reply(reply.code, lines) : reply;
  }

  /**
   * What a trace shows of a reply. Challenges are hidden: those of SCRAM together let a weak password be
   * guessed by whoever reads the trace.
   */
  readonly #shown = (reply: Reply): Reply =>
    reply.code === 334 && reply.text !== "" ? new Reply(334, MASK) : this.#withoutSecrets(reply);

  #mask(text: string): string {
    let masked = text;
    // The longest first: one may be a part of another. What is shorter than a group of base64 is empty, or no secret.
    const secrets = this.#secrets.toSorted((a, b) => b.length - a.length);
    for (const secret of secrets) if (secret.length >= 4) masked = masked.replaceAll(secret, MASK);
    return masked;
  }
}
