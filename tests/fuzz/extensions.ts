/**
 * Fuzzes what a server announces in its reply to EHLO: everything that is read is what a model of regular expressions reads, and a
 * keyword that is asked for in any case has what it was announced with. So it is whether the reply was made here, or came over the
 * wire.
 * @module
 */
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { ReplyDecoder } from "../../src/core/reply_decoder.ts";
import { GREETINGS } from "./corpus.ts";
import { CHARACTERS, mutate, noise } from "./mutate.ts";
import type { Random } from "./random.ts";
import { hold, must, mustEqual, type Target } from "./target.ts";

/** The reply to EHLO. */
export const extensions: Target = {
  name: "extensions",
  play(random, notes) {
    const text = announced(random);
    notes.log(JSON.stringify(text));
    notes.count("keywords", [...parse(text).keywords()].length);
    hold(text, check);
  },
};

const LINES = GREETINGS.flat();

function announced(random: Random): string {
  if (random.chance(0.05)) return noise(random, CHARACTERS);
  const lines = [...random.pick(GREETINGS)];
  if (random.chance(0.3)) {
    lines.splice(random.below(lines.length + 1), 0, ...[random.pick(LINES), random.pick(LINES)]);
  }
  return mutate(random, lines.join("\n"), CHARACTERS, LINES);
}

/** The reply as it comes over the wire: the decoder replaces what is no text. */
function parse(text: string): Extensions {
  const lines = text.replaceAll("\r", " ").toWellFormed().split("\n");
  // A line may have grown past the limit, which is another target's.
  const decoder = new ReplyDecoder({ maxLineLength: 1_000_000, maxReplyLength: 1_000_000 });
  decoder.push(new TextEncoder().encode(
    lines.map((line, index) => `250${index === lines.length - 1 ? " " : "-"}${line}\r\n`).join(""),
  ));
  return Extensions.parse(decoder.next()!);
}

function check(text: string): void {
  const found = parse(text);
  const lines = text.replaceAll("\r", " ").toWellFormed().replaceAll(/(?![\t\n])\p{Cc}/gu, "\ufffd")
    .split("\n");
  const expected = model(lines);
  mustEqual([...found.keywords()], [...expected.keys()], "The keywords are");
  for (const [keyword, value] of expected) {
    must(found.has(keyword) && found.has(keyword.toLowerCase()), `has() does not know ${keyword}`);
    mustEqual(found.get(keyword.toLowerCase()), value, `${keyword} has`);
  }
  const words = (keyword: string) =>
    (expected.get(keyword) ?? "").split(/[ \t]+/).filter((word) => word !== "");
  const whole = (word: string | undefined) => {
    const number = /^\d+$/.test(word ?? "") ? Number(word) : undefined;
    return Number.isSafeInteger(number) ? number : undefined;
  };
  mustEqual(found.auth, [
    ...new Set(
      words("AUTH").filter((word) => /^[A-Za-z0-9_-]+$/.test(word)).map((word) => word.toUpperCase()),
    ),
  ], "AUTH is");
  mustEqual(found.size, whole(words("SIZE")[0]) || undefined, "SIZE is");
  mustEqual(
    [found.pipelining, found.chunking, found.startTls, found.smtpUtf8, found.requireTls, found.dsn],
    ["PIPELINING", "CHUNKING", "STARTTLS", "SMTPUTF8", "REQUIRETLS", "DSN"].map((keyword) =>
      expected.has(keyword)
    ),
    "What it offers is",
  );
  const limits: Record<string, number> = {};
  for (const word of words("LIMITS")) {
    const [, name, value] = /^(RCPTMAX|MAILMAX|RCPTDOMAINMAX)=(\d+)$/i.exec(word) ?? [];
    const key =
      { RCPTMAX: "rcptMax", MAILMAX: "mailMax", RCPTDOMAINMAX: "rcptDomainMax" }[name?.toUpperCase() ?? ""];
    if (key !== undefined && whole(value)) limits[key] = whole(value)!;
  }
  mustEqual(Object.entries(found.limits).sort(), Object.entries(limits).sort(), "LIMITS is");
  must(found.covers(found) && found.covers(Extensions.none), "It does not cover itself");
  const again = Extensions.parse(
    new Reply(250, ["x", ...[...found.keywords()].map((keyword) => `${keyword} ${found.get(keyword)}`)]),
  );
  mustEqual(
    [again.auth, again.size, again.limits],
    [found.auth, found.size, found.limits],
    "Announced again it is",
  );
}

function model(lines: readonly string[]): Map<string, string> {
  const keywords = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9_-]*)(?:[ \t=]([^]*))?$/.exec(line);
    if (match === null) continue;
    const keyword = match[1]!.toUpperCase();
    const value = (match[2] ?? "").trim();
    const earlier = keywords.get(keyword);
    if (earlier === undefined) keywords.set(keyword, value);
    else if (keyword === "AUTH" && value !== "") {
      keywords.set(keyword, earlier === "" ? value : `${earlier} ${value}`);
    }
  }
  return keywords;
}
