/** Changes texts a little: most of what is found lies next to what is right. @module */
import type { Random } from "./random.ts";

/** What is put into a peer's bytes, one character each. UTF-8 is in it, whole and broken. */
export const BYTES: readonly string[] = [
  ..."\0\t\n\r\x1b \"#'()+,-./0123456789:;<=>@ABEHLRSTZ[\\]_az{}~\x7f\x80\x85\xa0\xbf\xc0\xc3\xe2\xf0\xff",
  ...[
    "\r\n",
    "\n",
    "\r\n.\r\n",
    "\n.\n",
    "\r.\r",
    "\r\n.\n",
    "\n.\r\n",
    "\r\n.",
    ".\r\n",
    "..",
    "\r\n..\r\n",
  ],
  ...[
    "250 ",
    "250-",
    "550-",
    "354 ",
    "421 ",
    "334 ",
    "2.0.0 ",
    "5.1.1 ",
    "250\t",
    "25",
    "2500 ",
    "199 ",
    "600 ",
  ],
  ...[
    "\xc3\xa4",
    "\xe2\x80\xa8",
    "\xf0\x9f\x98\x80",
    "\xef\xbb\xbf",
    "\xed\xa0\x80",
    "\xc0\xaf",
    "\xef\xbf\xbd",
  ],
];

/** What is put into a text. */
export const CHARACTERS: readonly string[] = [
  ..."\0\t\n\r\x1b \"#'()+,-./0123456789:;<=>@ABEHLRSTZ[\\]_az{}~\x7f\x80\x85\xa0\xad",
  ...[
    "\r\n",
    "\u00e4",
    "\u017f",
    "\u0130",
    "\u212a",
    "\u200b",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u3002",
    "\uff0e",
    "\uff11",
  ],
  ...[
    "\ud800",
    "\udc00",
    "\u{1f600}",
    "\ufeff",
    "\ufffd",
    "\u00df",
    "xn--",
    "::",
    "[",
    "]",
    "IPv6:",
    "@",
    "<>",
    '\\"',
  ],
];

/**
 * Changes a text in up to a few places.
 *
 * @param random Where the changes come from.
 * @param text The text.
 * @param alphabet What is put in.
 * @param others Texts of its kind, parts of which are put in.
 * @returns The text, changed or not.
 */
export function mutate(
  random: Random,
  text: string,
  alphabet: readonly string[],
  others: readonly string[],
): string {
  for (let left = random.pick([0, 1, 1, 1, 2, 3, 8]); left > 0; left--) {
    text = change(random, text, alphabet, others);
  }
  return text;
}

function change(
  random: Random,
  text: string,
  alphabet: readonly string[],
  others: readonly string[],
): string {
  const at = random.below(text.length + 1);
  const end = Math.min(text.length, at + 1 + random.below(random.pick([1, 4, 40])));
  const before = text.slice(0, at);
  const part = text.slice(at, end);
  const after = text.slice(end);
  switch (
    random.weighted({
      insert: 6,
      replace: 6,
      remove: 4,
      repeat: 2,
      many: 0.3,
      splice: 2,
      move: 1,
      case: 1,
      end: 1,
    })
  ) {
    case "insert":
      return before + random.pick(alphabet) + part + after;
    case "replace":
      return before + random.pick(alphabet) + after;
    case "remove":
      return before + after;
    case "repeat":
      return before + part + part + after;
    case "many":
      return before + random.pick([part, random.pick(alphabet)]).repeat(random.pick([10, 64, 300])) + after;
    case "splice": {
      const other = random.pick(others);
      const from = random.below(other.length + 1);
      return before + other.slice(from, from + random.below(60)) + after;
    }
    case "move":
      return after + before + part;
    case "case":
      return before +
        part.replaceAll(/[A-Za-z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) ^ 0x20)) +
        after;
    case "end":
      return before;
  }
}

/** A text of nothing but the alphabet. */
export function noise(random: Random, alphabet: readonly string[]): string {
  const length = random.below(random.pick([3, 10, 60]));
  return Array.from({ length }, () => random.pick(alphabet)).join("");
}
