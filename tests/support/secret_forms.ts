/**
 * The forms in which a secret may show up in a text: as it is, escaped, in base64 wherever it begins, in hex.
 * @module
 */

/**
 * Lists the forms.
 * @param secret The secret.
 * @returns The texts to look for, without duplicates.
 */
export function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const base64 = [0, 1, 2].map((offset) => base64At(bytes, offset));
  return [
    ...new Set([
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      String.fromCharCode(...bytes), // UTF-8 taken for Latin-1
      ...base64,
      ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
      hex,
      hex.toUpperCase(),
      [...bytes].join(","), // as a Uint8Array is printed
      ...(secret === secret.normalize("NFKC") ? [] : formsOf(secret.normalize("NFKC"))), // SASLprep
    ]),
  ];
}

/** The characters that hold nothing but these bytes, if so many other bytes come before them. */
function base64At(bytes: Uint8Array, offset: number): string {
  const padded = new Uint8Array(offset + bytes.length);
  padded.set(bytes, offset);
  const text = btoa(String.fromCharCode(...padded));
  const first = [0, 2, 3][offset]!;
  const last = Math.floor((padded.length * 8) / 6);
  return text.slice(first, last);
}
