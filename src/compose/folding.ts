/**
 * Folds header fields (RFC 5322, section 2.2.3).
 *
 * The library folds before whatever `\s` matches, a no-break space or U+FEFF among others. A line that begins with one of
 * these is no continuation: Postfix ends the header there, and the rest of the field is the beginning of the text.
 *
 * @module
 */

/** The length that lines should have (RFC 2047, section 2). */
const WANTED_LENGTH = 76;

/** The longest line, in octets (RFC 5322, section 2.1.1). */
const MAX_OCTETS = 998;

/** The longest word, and the longest gap, that a text can have whose words may get quotes, and backslashes before each character. */
export const MAX_RUN = 200;

const LONG_RUN = new RegExp(`[^ \\t]{${MAX_RUN + 1}}|[ \\t]{${MAX_RUN + 1}}`);

/** A word with the white space before it; the last word also with what is after it. */
const WORDS = /[ \t]*[^ \t]+(?:[ \t]+$)?/g;

/**
 * Tells whether a text of ASCII can be folded into lines that are short enough.
 *
 * @param text The text.
 * @returns Whether it has no word and no gap of more than {@linkcode MAX_RUN} characters.
 */
export function canFold(text: string): boolean {
  return !LONG_RUN.test(text);
}

/**
 * Folds a field: before spaces and tabs only, and never so that a line has nothing else.
 *
 * @param field The field in one line, `Name: value`.
 * @returns The same with CRLF before some of its spaces and tabs.
 */
export function foldField(field: string): string {
  const lines: string[] = [];
  let line = "";
  for (const [word] of field.matchAll(WORDS)) {
    if (line !== "" && line.length + word.length > WANTED_LENGTH) {
      lines.push(line);
      line = "";
    }
    line += word;
  }
  return [...lines, line].join("\r\n");
}

/**
 * Folds a header of the library's anew.
 *
 * @param header The header, with lines that end in CRLF, without the last line end.
 * @returns The same fields, folded as {@linkcode foldField} does.
 * @throws {TypeError} If a line would have more than 998 octets. `compose()` refuses what leads to that.
 */
export function foldHeader(header: string): string {
  // No value has a line end in it, so each that is followed by white space is a fold.
  const fields = header.replaceAll(/\r\n(?=\s)/g, "").split("\r\n");
  const folded = fields.map(foldField).join("\r\n");
  const encoder = new TextEncoder();
  for (const line of folded.split("\r\n")) {
    if (encoder.encode(line).length > MAX_OCTETS) {
      throw new TypeError(
        `Cannot compose the mail: a line of its header would have more than ${MAX_OCTETS} octets: ${
          line.slice(0, 40)
        }`,
      );
    }
  }
  return folded;
}
