/**
 * Finds the lines of a content that a server could take for commands.
 *
 * A BDAT chunk leaves with its command (RFC 3030). A server, or a proxy in front of it, that announces CHUNKING and does not
 * know BDAT answers 500 and reads the chunk as commands: with `MAIL FROM:<…>`, `RCPT TO:<…>` and `DATA` in the right places a
 * body sends a mail of its own. So until BDAT is known to work, such a line does not leave under BDAT.
 *
 * There is a second hole of the kind: go-smtp, as of 2026, knows BDAT and does not skip the chunk of one that it refuses, as it
 * does after a refused MAIL or RCPT. With no recipient of ours, a mail of its own takes a line with RCPT. A content that has one
 * leaves only after the server has accepted a recipient, as long as that session lasts.
 *
 * The search takes the side of the most lenient server:
 *
 * - Four letters in any case make a command, whatever follows: `Data shows` and `Mailing-List:` count. GreenMail compares no
 *   more than four, and qmail takes `DATA` and `MAIL` with any argument.
 * - Blanks, control characters and whatever is beyond ASCII may stand before it: Sendmail skips white space, others trim what
 *   Unicode calls so.
 * - Every control character ends a line, as do the ends of lines that only Unicode knows.
 * - Servers that read into a buffer of fixed size take the rest of a longer line for another one. None has to have room for
 *   more than 512 octets (RFC 5321, section 4.5.3.1.4). Behind that a command counts wherever it stands.
 *
 * @module
 */

/** The shortest line that a server cuts, with some room for the ways to count. */
const SHORTEST_CUT = 500;

/** The beginnings of commands, of this library's and of other servers' making. `STAR` is for STARTTLS. */
const VERBS: ReadonlySet<number> = new Set(
  ("HELOEHLOLHLOMAILRCPTDATABDATBURLRSETNOOPQUITVRFYEXPNHELPAUTHSTARETRNATRNTURNSENDSOMLSAMLONEXVERB" +
    "XCLIXFORXEXCXADRXANOXPROXRDSXSESXSHAXQDIXUSR").match(/..../g)!.map((verb) =>
      pack(...([0, 1, 2, 3].map((i) => verb.charCodeAt(i)) as [number, number, number, number]))
    ),
);

/** Four characters as one number, letters without their case. Few other characters pass for letters, none that matters. */
function pack(a: number, b: number, c: number, d: number): number {
  return (a & 31) << 15 | (b & 31) << 10 | (c & 31) << 5 | d & 31;
}

/**
 * Finds the first line that a server could take for a command, in linear time: 1 to 2 us for a KiB.
 *
 * @param content The content, or a chunk of it, which for such a server begins with a line.
 * @returns Where the command begins; -1 if there is none.
 */
export function findCommand(content: Uint8Array): number {
  const { length } = content;
  for (let i = 0; i < length; i++) {
    const cut = i + SHORTEST_CUT;
    while (i < length && (content[i]! <= 0x20 || content[i]! > 0x7e)) i++;
    if (isCommand(content, i)) return i;
    while (i < length && !endsLine(content, i)) {
      if (++i > cut && isCommand(content, i)) return i;
    }
  }
  return -1;
}

/**
 * How much of a chunk has to be taken by a server before the rest may leave: what stands before the first line that could be a
 * command, and at least one byte, as a chunk of none is unusual.
 *
 * @param chunk The chunk.
 * @returns How many bytes; 0 if there is no such line.
 */
export function lengthAhead(chunk: Uint8Array): number {
  const at = findCommand(chunk);
  return at < 0 ? 0 : Math.max(at, 1);
}

function isCommand(content: Uint8Array, at: number): boolean {
  if (at + 4 > content.length) return false;
  return VERBS.has(pack(content[at]!, content[at + 1]!, content[at + 2]!, content[at + 3]!));
}

/** Where in `RCPT` a byte stands, from 1; 0 if nowhere. */
const PLACES = new Uint8Array(256);
for (const [i, letter] of [..."RrCcPpTt"].entries()) PLACES[letter.charCodeAt(0)] = (i >> 1) + 1;

/**
 * Finds out whether a server that reads a content as commands could find a recipient in it. It looks at each fourth byte: half a us
 * for a KiB.
 *
 * @param content The content, or a chunk of it.
 * @returns Whether there is one.
 */
export function namesRecipient(content: Uint8Array): boolean {
  for (let i = 3; i < content.length; i += 4) {
    const place = PLACES[content[i]!]!;
    if (place > 0 && isRcpt(content, i - place + 1)) return true;
  }
  return false;
}

function isRcpt(content: Uint8Array, at: number): boolean {
  for (let i = 0; i < 4; i++) if (PLACES[content[at + i]!] !== i + 1) return false;
  return mayBeginLine(content, at);
}

/** Whether only what is skipped stands before a place in its line, or so much that the line may be cut. */
function mayBeginLine(content: Uint8Array, at: number): boolean {
  let skipped = true;
  for (let i = at - 1; i >= 0; i--) {
    if (endsLine(content, i)) return skipped;
    if (at - i > SHORTEST_CUT) return true;
    if (content[i]! > 0x20 && content[i]! < 0x7f) skipped = false;
  }
  return skipped;
}

/** A control character, or U+0085, U+2028 or U+2029, at its last byte. */
function endsLine(content: Uint8Array, at: number): boolean {
  const byte = content[at]!;
  if (byte >= 0x20 && byte < 0x7f) return false;
  return byte < 0x80 || byte === 0x85 || ((byte === 0xa8 || byte === 0xa9) && content[at - 1] === 0x80);
}
