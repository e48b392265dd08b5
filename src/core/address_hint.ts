/**
 * What somebody may have meant with a text that is no address of an envelope.
 *
 * @module
 */
import { isUnsafe } from "./characters.ts";
import { show } from "./errors.ts";

/** The longest local part and list that a hint spells out. */
const MAX_HINT = 80;

/**
 * Finds what to write instead of a text that is not an address.
 *
 * @param text The text.
 * @param isAddress Tells whether a text is an address.
 * @returns The rest of a sentence; `""` if there is nothing to suggest.
 */
export function addressHint(text: string, isAddress: (text: string) => boolean): string {
  const inBrackets = bare(text);
  if (inBrackets !== text && isAddress(inBrackets)) {
    return `; the envelope takes bare addresses: ${show(inBrackets)}`;
  }
  const several = text.length <= 4 * MAX_HINT ? text.split(/[,;]/).map((one) => bare(one.trim())) : [];
  if (several.length > 1 && several.every(isAddress)) {
    return `; the envelope takes bare addresses, several as an array: [${several.map(show).join(", ")}]`;
  }
  const quoted = inQuotes(text);
  return quoted !== undefined && isAddress(quoted) ? `; in quotes it is right: ${quoted}` : "";
}

/** The address in the angle brackets that end the text of a header; the text itself if there are none, or several. */
function bare(text: string): string {
  const open = text.indexOf("<");
  if (open < 0 || !text.endsWith(">") || text.indexOf("<", open + 1) >= 0) return text;
  return text.slice(open + 1, -1);
}

/**
 * The address with its local part in quotes, if that is short and holds nothing that belongs into a header. It is shown as it
 * is, to be copied: so it holds nothing that turns text around.
 */
function inQuotes(text: string): string | undefined {
  const at = text.lastIndexOf("@");
  if (at <= 0 || at > MAX_HINT || text.indexOf("@") !== at) return undefined;
  for (let i = 0; i < text.length; i++) {
    if (isUnsafe(text.charCodeAt(i)) || '<>"'.includes(text[i]!)) return undefined;
  }
  return `"${text.slice(0, at).replaceAll("\\", "\\\\")}"${text.slice(at)}`;
}
