/**
 * Internationalised domains in the commands of a client. RFC 6531, section 3.3, allows U-labels, each of which has one
 * spelling. IDNA maps others to the same name: `ｅｘａｍｐｌｅ.org` and `example。org` are `example.org`, and would pass a handler that
 * compares.
 *
 * @module
 */
import { isAscii, isDigit } from "../core/characters.ts";
import { toAscii } from "../core/domain.ts";

/** The prefix of an A-label (RFC 5890, section 2.3.2.1). */
const PREFIX = "xn--";

/**
 * Tells whether a domain is in normal form, but for the case of its letters: each label that is not ASCII is the U-label of
 * an A-label.
 *
 * @param domain A domain or address literal of an address that is valid.
 * @returns Whether it is. A domain in ASCII is.
 */
export function isNormalDomain(domain: string): boolean {
  if (isAscii(domain)) return true;
  const labels = domain.split(".");
  const aLabels = toAscii(domain)?.split(".");
  return labels.length === aLabels?.length && labels.every((label, i) => {
    if (isAscii(label)) return true;
    const aLabel = aLabels[i]!;
    return aLabel.startsWith(PREFIX) &&
      decode(aLabel.slice(PREFIX.length)).toLowerCase() === label.toLowerCase();
  });
}

/** Decodes Punycode that {@linkcode toAscii} gave (RFC 3492, section 6.2). */
function decode(text: string): string {
  let at = text.lastIndexOf("-") + 1;
  const output = [...text.slice(0, Math.max(at - 1, 0))];
  let codePoint = 128;
  let bias = 72;
  for (let i = 0; at < text.length; i++) {
    const old = i;
    for (let weight = 1, k = 36; at < text.length; k += 36) {
      const code = text.charCodeAt(at++);
      const digit = isDigit(code) ? code - 0x30 + 26 : code - 0x61;
      i += digit * weight;
      const threshold = Math.min(Math.max(k - bias, 1), 26);
      if (digit < threshold) break;
      weight *= 36 - threshold;
    }
    const count = output.length + 1;
    bias = adapt(i - old, count, old === 0);
    codePoint += Math.floor(i / count);
    i %= count;
    output.splice(i, 0, String.fromCodePoint(codePoint));
  }
  return output.join("");
}

function adapt(delta: number, count: number, first: boolean): number {
  delta = Math.floor(delta / (first ? 700 : 2));
  delta += Math.floor(delta / count);
  let k = 0;
  for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
  return k + Math.floor(36 * delta / (delta + 38));
}
