/**
 * Keeps secrets out of what a peer says: servers repeat what they were sent, whole or in part, encoded or escaped.
 *
 * @module
 */

/** What is shown instead of a secret. */
export const MASK = "********";

/** A part of a secret with so many characters is masked. A secret that has fewer is masked where it stands whole. */
const PART = 6;

/** Six characters in hexadecimal. */
const HEX_PART = 12;

/** A secret shorter than this is masked only where no letter or digit is beside it: `a` would be in every word. */
const SHORT = 4;

/** What may stand within a secret that is repeated, or was replaced there: white space, control characters, U+FFFD. */
// deno-lint-ignore no-control-regex
const GAP = /([\s\x00-\x1f\x7f-\x9f\ufffd]+)/g;

/** `5.7.8`, at the start of a line (RFC 3463). It stays. */
const ENHANCED_CODE = /^[245]\.\d{1,3}\.\d{1,3}$/;

/** URLs and quoted-printable, JSON and C, HTML. Each repetition has a limit: linear, whatever the peer sends. */
const ESCAPE =
  /(?:[%=]|\\x)([\da-f]{2})|\\u([\da-f]{4})|&#x([\da-f]{1,6});|&#(\d{1,7});|\\([0-7]{3})|&(amp|lt|gt|quot|apos);|\\(.)/gi;

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** A URL in JSON in HTML is escaped three times. */
const MAX_ESCAPES = 3;

/**
 * The secrets of a session or a request, and what is left of a text without them.
 *
 * Each word of a text is hidden that holds six characters in a row of any form of a secret: as it is or in base64, wherever
 * that begins, escaped, in capitals or not, across words and lines. The time is linear in the length of the text, whatever
 * it holds: each piece of six characters is looked up once.
 */
export class Secrets {
  /** How long the parts are that are looked for, by the form. */
  readonly #forms: Map<string, number> = new Map();
  /** The parts by their length. Made when a text is there to be looked at. */
  #parts: Map<number, Set<string>> | undefined;

  /**
   * Learns a secret, in every form.
   *
   * @param secret A text, or bytes.
   */
  add(secret: string | Uint8Array): void {
    const isText = typeof secret === "string";
    const bytes = isText ? new TextEncoder().encode(secret) : secret;
    let binary = "";
    let hex = "";
    for (const byte of bytes) {
      binary += String.fromCharCode(byte);
      hex += byte.toString(16).padStart(2, "0");
    }
    const text = isText ? secret : new TextDecoder().decode(bytes);
    this.addForm(text);
    this.addForm(text.replaceAll(" ", "+"));
    for (const form of ["NFKC", "NFD"]) this.addForm(text.normalize(form));
    this.addForm(binary); // UTF-8 taken for Latin-1, or escaped byte by byte
    for (const instead of ["", "?"]) this.addForm(text.replaceAll(/[^ -~]/g, instead)); // in another encoding
    if (binary.length >= SHORT) this.addForm(hex, HEX_PART);
    for (const before of [0, 1, 2]) {
      // The characters that hold nothing but these bytes, if so many others come before them.
      const base64 = btoa("\0".repeat(before) + binary);
      const form = base64.slice(Math.ceil(before * 4 / 3), Math.floor((before + binary.length) * 4 / 3));
      if (form.length >= SHORT) this.addForm(form);
    }
  }

  /**
   * Learns a text that is secret in this form: a response of a login in base64.
   *
   * @param form The text.
   * @param part How long a part of it is masked, in characters. Default: 6.
   */
  addForm(form: string, part: number = PART): void {
    if (this.#forms.has(form)) return;
    this.#forms.set(form, part);
    this.#parts = undefined;
  }

  /**
   * Masks a text.
   *
   * @param text The text.
   * @returns The same without secrets.
   */
  mask(text: string): string {
    return this.maskLines(text.split("\n")).join("\n");
  }

  /**
   * Masks lines, also what goes on from one to the next. An enhanced status code at the start of a line stays.
   *
   * @param lines The lines.
   * @returns The same without secrets; the same array if there were none.
   */
  readonly maskLines = (lines: readonly string[]): readonly string[] => {
    const pieces = lines.map((line) => line.split(GAP)); // words, and between them what separates them
    let words = pieces.flatMap((piece) =>
      piece.filter((_, i) => i % 2 === 0).map((word, i) => i === 0 && ENHANCED_CODE.test(word) ? "" : word)
    );
    const hidden = new Uint8Array(words.length);
    for (let i = 0; i <= MAX_ESCAPES; i++) {
      this.#find(words, hidden);
      const plain = words.map(unescape);
      if (plain.every((word, i) => word === words[i])) break;
      words = plain;
    }
    if (!hidden.includes(1)) return lines;
    let next = 0;
    return pieces.map((piece) => {
      let line = "";
      let wasHidden = false;
      for (let i = 0; i < piece.length; i += 2) {
        const isHidden = hidden[next++] === 1;
        if (isHidden && wasHidden) continue;
        line += (piece[i - 1] ?? "") + (isHidden ? MASK : piece[i]);
        wasHidden = isHidden;
      }
      return line;
    });
  };

  /** Marks the words that hold a part of a secret, or a part of a part. */
  #find(words: readonly string[], hidden: Uint8Array): void {
    const owners: number[] = [];
    let text = "";
    words.forEach((word, owner) => {
      const folded = fold(word);
      text += folded;
      for (let i = 0; i < folded.length; i++) owners.push(owner);
    });
    for (const [length, parts] of this.#parts ??= this.#cut()) {
      for (let i = 0; i + length <= text.length; i++) {
        if (!parts.has(text.slice(i, i + length))) continue;
        const last = i + length - 1;
        const touches = (inside: number, outside: number) =>
          owners[inside] === owners[outside] && /[a-z\d]/.test(text[outside]!);
        if (length < SHORT && (touches(i, i - 1) || touches(last, last + 1))) continue;
        for (let owner = owners[i]!; owner <= owners[last]!; owner++) {
          if (words[owner] !== "") hidden[owner] = 1;
        }
      }
    }
  }

  #cut(): Map<number, Set<string>> {
    const all = new Map<number, Set<string>>();
    for (const [form, part] of this.#forms) {
      const text = fold(form);
      const length = Math.min(part, text.length);
      if (length === 0) continue;
      const parts = all.get(length) ?? new Set();
      all.set(length, parts);
      for (let i = 0; i + length <= text.length; i++) parts.add(text.slice(i, i + length));
    }
    return all;
  }
}

/** Makes one form of the two alphabets of base64, and of capitals and small letters, without gaps. */
function fold(text: string): string {
  return text.replace(GAP, "").toLowerCase().replaceAll("-", "+").replaceAll("_", "/");
}

function unescape(text: string): string {
  return text.replace(ESCAPE, (_, byte, unit, hex, decimal, octal, name: string, other: string) => {
    if (other !== undefined) return other;
    if (name !== undefined) return ENTITIES[name.toLowerCase()]!;
    const [digits, base] = decimal !== undefined
      ? [decimal, 10]
      : octal !== undefined
      ? [octal, 8]
      : [byte ?? unit ?? hex, 16];
    return String.fromCharCode(parseInt(digits, base));
  });
}
