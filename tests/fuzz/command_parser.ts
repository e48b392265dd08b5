/**
 * Fuzzes the parser of a client's lines, and what cuts its bytes into lines.
 *
 * - However the bytes are cut, the lines are those that a model finds which reads all bytes at once; never more than the longest
 *   line is kept.
 * - In ASCII it accepts exactly what a grammar of regular expressions accepts, with the same parts.
 * - Whatever it accepts, addresses beyond ASCII included, is written again as a line that means the same.
 * - Nothing that it gives holds a control character, other than a tab in the argument of a command that takes any text.
 * - What it refuses, it refuses with 500 or 501 and no word of the client's.
 * - With lenient addresses it accepts all that it accepts without them, as the same; and what it accepts then can be said strictly.
 * @module
 */
import { formatMailbox } from "../../src/core/address.ts";
import { type Command, renderCommand } from "../../src/core/command.ts";
import { CommandSyntaxError, parseCommand } from "../../src/server/command_parser.ts";
import { LineDecoder } from "../../src/server/line_decoder.ts";
import { ADDRESSES, COMMANDS } from "./corpus.ts";
import { type ModelCommand, readCommand } from "./grammar.ts";
import { BYTES, CHARACTERS, mutate, noise } from "./mutate.ts";
import { Random } from "./random.ts";
import { bytesOf, cut, hold, must, mustEqual, type Target, utf8 } from "./target.ts";

/** The command parser. */
export const commandParser: Target = {
  name: "command-parser",
  play(random, notes) {
    const line = said(random);
    notes.log(JSON.stringify(line));
    notes.count(parse(line, false) === undefined ? "refused" : "accepted");
    hold(line, check);
    if (random.chance(0.2)) checkLines(random);
  },
};

function checkLines(random: Random): void {
  const lines = Array.from({ length: 1 + random.below(5) }, () => `${utf8(random.pick(COMMANDS))}\r\n`);
  const bytes = mutate(random, lines.join(""), BYTES, lines);
  const maxLength = random.pick([20, 60, 512]);
  const bareLineFeeds = random.chance(0.3);
  const cuts = random.below(0x7fff_ffff);
  hold(bytes, (text) => {
    const decoder = new LineDecoder(maxLength, bareLineFeeds);
    const found: (string | null)[] = [];
    for (const piece of cut(text, new Random(cuts))) {
      decoder.push(bytesOf(piece));
      for (let line; (line = decoder.next()) !== undefined;) {
        found.push(typeof line === "string" ? line : null);
      }
      must(decoder.bufferedLength <= maxLength, `It keeps ${decoder.bufferedLength} bytes`);
    }
    mustEqual(found, readLines(text, maxLength, bareLineFeeds), "It finds the lines");
  });
}

/** The lines of a text; `null` for one that is refused. */
function readLines(text: string, maxLength: number, bareLineFeeds: boolean): (string | null)[] {
  const ends = bareLineFeeds ? /(?<=\n)/ : /(?<=\r\n)/;
  return text.split(ends).flatMap((line) => {
    if (!line.endsWith(bareLineFeeds ? "\n" : "\r\n")) {
      // It is refused for a line feed as soon as that has come, if it is not too long until then.
      const lineFeed = line.indexOf("\n");
      return lineFeed >= 0 && lineFeed < maxLength ? [null] : [];
    }
    const content = line.replace(/\r?\n$/, "");
    if (line.length > maxLength || content.includes("\n")) return [null];
    try {
      return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOf(content))];
    } catch {
      return [null];
    }
  });
}

function said(random: Random): string {
  if (random.chance(0.05)) return noise(random, CHARACTERS);
  const line = random.chance(0.3)
    ? `${random.pick(["MAIL FROM:<", "RCPT TO:<"])}${random.pick(ADDRESSES)}${
      random.pick([">", "> SIZE=10", ">  BODY=7BIT A-1"])
    }`
    : random.pick(COMMANDS);
  return mutate(random, line, CHARACTERS, COMMANDS);
}

function parse(line: string, lenient: boolean): Command | undefined {
  try {
    return parseCommand(line, lenient);
  } catch (error) {
    if (!(error instanceof CommandSyntaxError)) throw error;
    const { reply } = error;
    must(reply.code === 500 || reply.code === 501, `It refuses with ${reply}`);
    must(reply.lines.length === 1 && /^5\.\d\.\d [ -~]+$/.test(reply.lines[0]!), `It refuses with ${reply}`);
    return undefined;
  }
}

function check(line: string): void {
  const strict = parse(line, false);
  const lenient = parse(line, true);
  if (/^[\0-\x7f]*$/.test(line)) mustEqual(strict && modelOf(strict), readCommand(line), "It reads");
  if (strict !== undefined) mustEqual(lenient, strict, "With lenient addresses it reads");
  if (lenient !== undefined) checkAccepted(lenient);
}

/** The command as the grammar has it. */
function modelOf(command: Command): ModelCommand {
  switch (command.verb) {
    case "MAIL":
    case "RCPT":
      return {
        verb: command.verb,
        path: command.verb === "MAIL" ? command.reversePath : command.forwardPath,
        parameters: Object.entries(command.parameters ?? {}).map(([keyword, value]) =>
          value === true ? keyword : `${keyword}=${value}`
        ).sort(),
      };
    case "EHLO":
    case "HELO":
    case "LHLO":
      return { verb: command.verb, argument: command.domain };
    case "BDAT":
      return { verb: "BDAT", argument: `${command.size}${command.last ? " LAST" : ""}` };
    case "AUTH": {
      const { mechanism, initialResponse } = command;
      return {
        verb: "AUTH",
        argument: mechanism + (initialResponse === undefined ? "" : ` ${initialResponse}`),
      };
    }
    case "VRFY":
    case "EXPN":
    case "ETRN":
    case "HELP":
    case "NOOP":
      return { verb: command.verb, argument: command.argument ?? "" };
    default:
      return { verb: command.verb, argument: "" };
  }
}

function checkAccepted(command: Command): void {
  const free = "argument" in command && command.argument !== undefined || "domain" in command;
  const text = JSON.stringify(command, (_, value) => typeof value === "string" ? ` ${value} ` : value);
  const values = "argument" in command ? command.argument!.replaceAll("\t", " ") : "";
  for (const value of free ? [values] : strings(command)) {
    must(!/\p{Cc}/u.test(value), `A control character gets through: ${text}`);
  }
  if (command.verb !== "MAIL" && command.verb !== "RCPT") return;
  const path = command.verb === "MAIL" ? command.reversePath : command.forwardPath;
  // Only RCPT may name a postmaster without a domain, and nobody else's address has none.
  if (path !== null && path.domain === "") {
    must(
      command.verb === "RCPT" && path.localPart.toLowerCase() === "postmaster",
      `A path without a domain: ${text}`,
    );
  }
  if (path !== null) must(formatMailbox(path).isWellFormed(), "An address holds a lone surrogate");
  let written: string;
  try {
    written = renderCommand(command, { smtpUtf8: true });
  } catch (error) {
    // A parameter's value may be a lone surrogate here: no bytes of a client's make one. And what is read may be longer than
    // what a client may send.
    if (/lone surrogate/.test(`${error}`) || error instanceof RangeError) return;
    throw error;
  }
  must(written.endsWith("\r\n"), "It is written without a line end");
  mustEqual(parse(written.slice(0, -2), false), command, "Written again it is");
}

function* strings(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) {
    for (const [key, part] of Object.entries(value)) {
      yield key;
      yield* strings(part);
    }
  }
}
