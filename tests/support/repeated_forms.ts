/**
 * How servers repeat what they were sent: whole or in part, encoded or escaped.
 * @module
 */
import { formsOf } from "./secret_forms.ts";

const each = (text: string, escape: (character: string) => string) => Array.from(text, escape).join("");
const code = (character: string, base: number, length: number) =>
  character.charCodeAt(0).toString(base).padStart(length, "0");
const entities = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll("'", "&apos;");

/** A text, or the lines of it, of what is repeated. */
export type Form = (text: string) => string | string[];

/** How a server may repeat a text. What leaves one reply in two gives the lines of it. */
export const REPEATED_FORMS: readonly (readonly [how: string, form: Form])[] = [
  ["as it is", (text) => text],
  ["truncated at its end", (text) => text.slice(0, -4)],
  ["truncated to ten characters", (text) => text.slice(0, 10)],
  ["truncated at its beginning", (text) => text.slice(5)],
  ["in quotes, at the end of a sentence", (text) => `"${text}".`],
  ["without padding", (text) => text.replaceAll("=", "")],
  ["over two lines", (text) => [text.slice(0, 9), text.slice(9)]],
  ["over lines of five characters", (text) => text.match(/.{1,5}/g)!],
  ["with a space after each character", (text) => each(text, (character) => `${character} `)],
  ["with NUL after each character, as in UTF-16", (text) => each(text, (character) => `${character}\0`)],
  ["in capitals", (text) => text.toUpperCase()],
  ["in small letters", (text) => text.toLowerCase()],
  [
    "with capitals for small letters",
    (text) => each(text, (one) => one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase()),
  ],
  ["in the alphabet for URLs", (text) => text.replaceAll("+", "-").replaceAll("/", "_")],
  ["in base64", (text) => btoa(text)],
  ["in base64, one byte later", (text) => btoa(`x${text}`)],
  ["in base64, two bytes later", (text) => btoa(`xx${text}yy`)],
  [
    "in base64 for URLs, without padding",
    (text) => btoa(`?${text}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""),
  ],
  ["in hexadecimal", (text) => each(text, (one) => code(one, 16, 2))],
  ["in hexadecimal capitals", (text) => each(text, (one) => code(one, 16, 2)).toUpperCase()],
  ["escaped for a URL", (text) => encodeURIComponent(text)],
  ["escaped for a form", (text) => new URLSearchParams({ text }).toString()],
  ["escaped for a URL, each character", (text) => each(text, (one) => `%${code(one, 16, 2)}`)],
  ["as quoted-printable", (text) => each(text, (one) => /[\w ]/.test(one) ? one : `=${code(one, 16, 2)}`)],
  ["escaped for HTML", entities],
  ["escaped for HTML by numbers", (text) => each(text, (one) => `&#${one.charCodeAt(0)};`)],
  ["escaped for HTML by hexadecimal numbers", (text) => each(text, (one) => `&#x${code(one, 16, 1)};`)],
  ["escaped for JSON", (text) => JSON.stringify(text)],
  ["escaped for JSON, each character", (text) => each(text, (one) => `\\u${code(one, 16, 4)}`)],
  ["escaped for C", (text) => each(text, (one) => /\w/.test(one) ? one : `\\${code(one, 8, 3)}`)],
  ["escaped for HTML, in JSON, in a URL", (text) => encodeURIComponent(JSON.stringify(entities(text)))],
];

const squeeze = (text: string) => text.replaceAll(/\s/g, "");

/** What must not be seen. */
interface Hidden {
  /** The texts that a server repeats, in the forms. */
  readonly repeated: readonly string[];
  /** What is secret in them. */
  readonly secrets: readonly string[];
  /** The forms. */
  readonly forms: readonly Form[];
}

/**
 * Fails if six characters in a row of a secret, or of what was repeated, are seen in any form.
 * @param seen All that is seen.
 * @param hidden What must not be.
 * @param what Where, for the error.
 */
export function mustHide(seen: readonly string[], { repeated, secrets, forms }: Hidden, what: string): void {
  const said = repeated.flatMap((text) => forms.map((form) => [form(text)].flat().join("")));
  // Six characters in hexadecimal are twelve digits.
  const windows = new Map<number, Set<string>>([[6, new Set()], [12, new Set()]]);
  for (const one of [...repeated, ...said, ...secrets.flatMap(formsOf)].map(squeeze)) {
    if (/^[\d,]+$/.test(one)) continue;
    const length = /^[\da-f]{12,}$/i.test(one) ? 12 : 6;
    for (let i = 0; i + length <= one.length; i++) windows.get(length)!.add(one.slice(i, i + length));
  }
  for (const text of new Set(seen)) {
    const shown = squeeze(text);
    for (const [length, known] of windows) {
      for (let i = 0; i + length <= shown.length; i++) {
        const window = shown.slice(i, i + length);
        if (!known.has(window)) continue;
        throw new Error(`${what}: ${window} is seen in ${shown.slice(Math.max(0, i - 60), i + 60)}`);
      }
    }
  }
}
