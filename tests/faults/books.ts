/**
 * What the server has truly taken, what the client says became of each message, and what is wrong between the two. The server's
 * entries come from its handler, which has read the whole content and is about to say yes.
 * @module
 */
import type { Receipt } from "../../src/client/receipt.ts";
import { SmtpError } from "../../src/errors.ts";

/** The figures of a run, added up. */
export interface Figures {
  /** How many faults, or runs. */
  tried: number;
  /** Recipients for whom there is a receipt. */
  received: number;
  /** Recipients about whom the client says what is not so: a receipt and not taken, or `refused` or `not-sent` and taken. */
  wrong: number;
  /** `unknown`, though the last byte of the content had not left the process. */
  imprecise: number;
  /** A receipt, and the server has not taken it: the mail is gone. Each is wrong, too. */
  lost: number;
  /** Taken more than once. */
  doubled: number;
  /** `unknown`: the connection was lost between the last byte and the reply. */
  unknown: number;
  /** Of the unknown ones, those that the server never had whole: nobody can know that. */
  unknownNotTaken: number;
  /** Messages of which the server has taken a part for the whole. */
  torn: number;
}

/** Nothing yet. */
export function noFigures(): Figures {
  return {
    tried: 0,
    received: 0,
    wrong: 0,
    imprecise: 0,
    lost: 0,
    doubled: 0,
    unknown: 0,
    unknownNotTaken: 0,
    torn: 0,
  };
}

/** Adds figures to others. */
export function addFigures(to: Figures, more: Figures): void {
  for (const name of Object.keys(to) as (keyof Figures)[]) to[name] += more[name];
}

/** The figures in one line. */
export function showFigures(what: string, figures: Figures, seconds?: number): string {
  const { tried, received, wrong, imprecise, lost, doubled, unknown, unknownNotTaken, torn } = figures;
  const time = seconds === undefined ? "" : ` in ${seconds.toFixed(1)} s`;
  return `${what}: ${tried} tried${time}, ${received} received, ${wrong} wrong, ${imprecise} imprecise, ${lost} lost, ${doubled} doubled, ` +
    `${unknown} unknown (${unknownNotTaken} of them not taken), ${torn} torn`;
}

/** A message that somebody tries to send. */
export interface Mail {
  /** Its name, which no other message has. */
  readonly name: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

/**
 * A small message, whose last line says that it is the last.
 *
 * @param name Its name.
 * @param recipients How many get it.
 */
export function mailOf(name: string, recipients = 1): Mail {
  return {
    name,
    from: `${name}@client.test`,
    to: Array.from({ length: recipients }, (_, index) => `${name}r${index}@mx.test`),
    text: `Subject: ${name}\r\n\r\n.dot\r\n.\r\n${lastLine(name)}`,
  };
}

/** The last line of the message of this name: whoever has it has all of the message. */
export function lastLine(name: string): string {
  return `End of ${name}.\r\n`;
}

/** The books of one conversation, or of many. */
export class Books {
  readonly #mails = new Map<string, Mail>();
  readonly #taken = new Map<string, number>();
  readonly #results = new Map<string, Receipt | SmtpError>();
  /** What must not have happened, for people to read. */
  readonly violations: string[] = [];
  #torn = 0;

  /** Somebody is about to send it. */
  open(mail: Mail): void {
    this.#mails.set(mail.name, mail);
  }

  /** The server takes a content for these recipients. */
  take(from: string, to: readonly string[], content: string): void {
    const name = from.slice(0, from.indexOf("@"));
    const mail = this.#mails.get(name);
    if (content !== mail?.text) {
      this.#torn++;
      this.violations.push(`${name} was taken, and is not what was sent: ${JSON.stringify(content)}`);
    }
    for (const address of to) this.#taken.set(address, (this.#taken.get(address) ?? 0) + 1);
  }

  /** The client says what became of it. */
  settle({ name }: Mail, result: unknown): void {
    if (result instanceof SmtpError || !(result instanceof Error)) {
      this.#results.set(name, result as Receipt | SmtpError);
      return;
    }
    this.violations.push(`${name} failed with what is no SmtpError: ${result.stack ?? result}`);
  }

  /**
   * Compares.
   *
   * @param hasLeft Whether the content has left the process to its last byte. Default: that nobody knows, so that nothing counts
   * as imprecise.
   */
  figures(hasLeft: (mail: Mail) => boolean = () => true): Figures {
    const figures = noFigures();
    figures.tried = 1;
    figures.torn = this.#torn;
    for (const mail of this.#mails.values()) {
      const result = this.#results.get(mail.name);
      if (result === undefined) {
        this.violations.push(`${mail.name} was never settled`);
        figures.wrong++;
        continue;
      }
      const failed = result instanceof SmtpError;
      const accepted = new Set(result.accepted);
      for (const address of mail.to) {
        const taken = this.#taken.get(address) ?? 0;
        if (taken > 1) figures.doubled++;
        if (accepted.has(address)) {
          figures.received++;
          if (taken > 0) continue;
          figures.wrong++;
          figures.lost++;
          this.violations.push(`${address} is accepted, and was not taken`);
        } else if (failed && result.outcome === "unknown" && !isRejected(result, address)) {
          figures.unknown++;
          if (taken === 0) figures.unknownNotTaken++;
          if (hasLeft(mail)) continue;
          figures.imprecise++;
          this.violations.push(`${address} is unknown, and its end has not left: ${show(result)}`);
        } else if (taken > 0) {
          figures.wrong++;
          const why = failed ? show(result) : "rejected";
          this.violations.push(`${address} was taken, and is ${why}`);
        }
      }
    }
    return figures;
  }
}

function isRejected(error: SmtpError, address: string): boolean {
  return error.rejected.some(({ recipient }) => recipient === address);
}

function show({ outcome, code, phase, message }: SmtpError): string {
  return `${outcome}: ${code} in ${phase}: ${message}`;
}
