/**
 * Words of a server in a message for people.
 *
 * @module
 */

/**
 * Takes everything out of a server's words that a terminal would act on, and what is too long to read.
 *
 * @param text The words.
 * @param maxLength How much is kept, in UTF-16 code units.
 * @returns Visible ASCII and spaces; `?` for anything else.
 */
export function printable(text: string, maxLength: number): string {
  let safe = "";
  for (const character of text.slice(0, maxLength)) {
    const code = character.codePointAt(0)!;
    safe += code >= 0x20 && code < 0x7f ? character : "?";
  }
  return safe;
}
