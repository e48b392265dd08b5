/**
 * The dialogue of one SASL mechanism: AUTH, challenges, responses, and the reply that ends it (RFC 4954, section 4).
 *
 * @module
 */
import { renderCommand, renderLine } from "../core/command.ts";
import { challengeOf } from "../core/reply.ts";
import type { Reply } from "../core/reply.ts";
import { MASK } from "../core/secrets.ts";
import type { Secrets } from "../core/secrets.ts";
import { SmtpError } from "../errors.ts";
import type { LoginAttempt, SmtpErrorInit } from "../errors.ts";
import { decodeBase64, encodeBase64 } from "../sasl/base64.ts";
import type { SaslMechanism } from "../sasl/mechanism.ts";
import type { Conversation } from "./conversation.ts";
import { messageOf, serviceClosing } from "./failure.ts";

/**
 * The longest AUTH command with its line end: as long as any other command (RFC 5321, section 4.5.3.1.4). A longer initial
 * response waits for the server's first challenge (RFC 4954, section 4). Gmail and Dovecot refuse the longer line.
 */
const MAX_COMMAND = 512;

/** The longest response in base64 with its line end (RFC 4954, section 4). */
const MAX_RESPONSE = 12_288;

/** What CRAM-MD5 and SCRAM prove the password with, at the end of their responses. */
const PROOF = /(?<= )[\da-f]{32}$|(?<=,p=).+$/;

/** A dialogue longer than any mechanism's: a server that never comes to an end. */
const MAX_CHALLENGES = 16;

/** A login, which may take the dialogues of several mechanisms. */
export interface Login {
  /** Where to send AUTH. */
  readonly conversation: Conversation;
  /** Whether an initial response may travel with the AUTH command. */
  readonly initialAllowed: boolean;
  /** Keeps out of the server's replies what it was sent. Servers that take a response for a command repeat it. */
  readonly secrets: Secrets;
  /** Whether the mechanism is the caller's: nobody else knows which part of its responses is secret. */
  readonly custom: boolean;
  /** The mechanisms that were tried and refused. */
  readonly attempts: LoginAttempt[];
}

/**
 * Refuses an initial response that no line can carry, before anything is sent.
 *
 * @param name The mechanism's name.
 * @param response The initial response.
 * @throws {RangeError} If it is too long. The message does not show it.
 */
export function checkInitialResponse(name: string, response: Uint8Array): void {
  const length = 4 * Math.ceil(response.length / 3);
  if (length + 2 <= MAX_RESPONSE) return;
  throw new RangeError(
    `Cannot authenticate with ${name}: its response has ${length} octets in base64, the most is ${
      MAX_RESPONSE - 2
    } (RFC 4954, section 4)`,
  );
}

/** Carries a mechanism's words, and keeps them out of everything that is shown. */
export class AuthDialogue {
  readonly #login: Login;
  readonly #conversation: Conversation;
  readonly #mechanism: SaslMechanism;
  readonly #secrets: Secrets;

  #answered = false;

  /**
   * @param login What it is a part of.
   * @param mechanism Whose words to carry.
   */
  constructor(login: Login, mechanism: SaslMechanism) {
    this.#login = login;
    this.#conversation = login.conversation;
    this.#mechanism = mechanism;
    this.#secrets = login.secrets;
  }

  /**
   * Has the dialogue.
   *
   * @param initial The mechanism's initial response.
   * @returns The reply that ends it: 235, or why not, with nothing in it of what was sent.
   * @throws {SmtpError} `"auth-failed"` if the mechanism gave up, or the server has said yes without proving who it is;
   * `"service-unavailable"` if the server closes the session.
   */
  async hold(initial: Uint8Array | undefined): Promise<Reply> {
    const { name } = this.#mechanism;
    const command = initial !== undefined && this.#login.initialAllowed
      ? this.#commandWith(initial)
      : undefined;
    let pending = command === undefined ? initial : undefined;
    let reply = command === undefined
      ? await this.#conversation.say(renderCommand({ verb: "AUTH", mechanism: name }), "auth")
      : await this.#conversation.say(command, "auth", `AUTH ${name} ${MASK}`);
    for (let challenges = 0; reply.code === 334; challenges++) {
      let line: string;
      try {
        if (challenges >= MAX_CHALLENGES) {
          throw new Error(`The server has sent ${challenges} challenges and no result`);
        }
        line = this.#lineOf(pending ?? await this.#answer(challengeOf(reply)));
        pending = undefined;
      } catch (cause) {
        return await this.#cancel(cause);
      }
      reply = await this.#conversation.say(line, "auth", MASK);
    }
    if (reply.code === 421) throw serviceClosing(reply, "auth");
    if (reply.positive) await this.#finish(reply);
    if (reply.positive || reply.temporary || reply.permanent) return reply;
    throw new SmtpError("protocol-error", `Unexpected reply to AUTH: ${reply.code}`, {
      phase: "auth",
      reply,
    });
  }

  /** Whether the mechanism has answered a challenge. */
  get answered(): boolean {
    return this.#answered;
  }

  #answer(challenge: string): Uint8Array | Promise<Uint8Array> {
    const bytes = this.#decode(challenge);
    this.#answered = true;
    return this.#mechanism.respond(bytes);
  }

  #decode(challenge: string): Uint8Array {
    try {
      return decodeBase64(challenge);
    } catch (error) {
      if (this.#mechanism.acceptsAnyChallenge) return new Uint8Array();
      throw error;
    }
  }

  /** A 235 is not enough if the mechanism asks the server for a proof. */
  async #finish(reply: Reply): Promise<void> {
    try {
      await this.#mechanism.finish?.();
    } catch (error) {
      const cause = this.#masked(error);
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
  async #cancel(error: unknown): Promise<never> {
    const cause = this.#masked(error);
    const reply = await this.#conversation.say("*\r\n", "auth", "*");
    throw this.failed(`The login was given up: ${messageOf(cause)}`, {
      cause,
      reply,
      temporary: false,
      usable: (reply.permanent || reply.temporary) && reply.code !== 421,
    });
  }

  /**
   * Notes that the mechanism was tried.
   *
   * @param reply How it has ended.
   */
  note(reply: Reply): void {
    const { reason } = this;
    this.#login.attempts.push({
      mechanism: this.#mechanism.name,
      reply,
      ...(reason !== undefined && { reason }),
    });
  }

  /** Why the mechanism says that the login has failed, with nothing in it of what was sent. */
  get reason(): string | undefined {
    const { refusal } = this.#mechanism;
    return refusal && this.#secrets.mask(refusal);
  }

  /**
   * Makes an error of this dialogue, and notes that the mechanism was tried.
   *
   * @param message What to tell a person, with nothing in it of what was sent.
   * @param init What else is known.
   * @returns The error.
   */
  failed(message: string, init: Omit<SmtpErrorInit, "phase" | "command"> & { reply: Reply }): SmtpError {
    const { attempts } = this.#login;
    const before = describeAttempts(attempts);
    const text = before === "" ? message : `${message} (after ${before})`;
    this.note(init.reply);
    return new SmtpError("auth-failed", text, {
      ...init,
      phase: "auth",
      command: `AUTH ${this.#mechanism.name}`,
      attempts: [...attempts],
    });
  }

  /** What a mechanism throws may hold words of a challenge. */
  #masked(cause: unknown): unknown {
    const text = messageOf(cause);
    const masked = this.#secrets.mask(text);
    return masked === text ? cause : new Error(masked);
  }

  #commandWith(response: Uint8Array): string | undefined {
    const { name } = this.#mechanism;
    // An empty initial response is written "=" (RFC 4954, section 4).
    const initialResponse = response.length === 0 ? "=" : encodeBase64(response);
    if (`AUTH ${name} ${initialResponse}\r\n`.length > MAX_COMMAND) return undefined;
    this.#learn(response, initialResponse);
    return renderCommand({ verb: "AUTH", mechanism: name, initialResponse });
  }

  #lineOf(response: Uint8Array): string {
    const encoded = encodeBase64(response);
    this.#learn(response, encoded);
    return renderLine(encoded);
  }

  /** The name of the user is no secret, but what the server was sent is, as it was sent. */
  #learn(response: Uint8Array, encoded: string): void {
    // Not "=", which stands for nothing. Of a long token the forms of forms would take megabytes.
    if (encoded.length > MAX_COMMAND) this.#secrets.addForm(encoded);
    else if (encoded.length >= 4) this.#secrets.add(encoded);
    if (this.#login.custom) return this.#secrets.add(response);
    const proof = PROOF.exec(new TextDecoder().decode(response));
    if (proof !== null) this.#secrets.add(proof[0]);
  }
}

/** Names mechanisms and their replies, for a person to read. */
export function describeAttempts(attempts: readonly LoginAttempt[]): string {
  return attempts.map(({ mechanism, reply, reason }) =>
    `${mechanism}: ${reply.toString()}${reason === undefined ? "" : ` (${reason})`}`
  ).join("; ");
}
