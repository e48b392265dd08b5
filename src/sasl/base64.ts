/**
 * Base64 as AUTH writes it (RFC 4954, section 4; RFC 4648, section 4).
 *
 * @module
 */
import { isBase64 } from "../core/characters.ts";

/**
 * Encodes bytes. (`Uint8Array.prototype.toBase64` is missing in Node 24.)
 *
 * @param bytes The bytes.
 * @returns Base64 with padding, without line ends.
 */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * Decodes base64, strictly. `atob()` alone lets white space through and does without padding: then "Rubbish" is a
 * challenge, and a client answers what its server never asked.
 *
 * @param text Groups of four characters, the last one padded; empty for no bytes.
 * @returns The bytes.
 * @throws {SyntaxError} If it is not base64.
 */
export function decodeBase64(text: string): Uint8Array {
  // "=" is how the AUTH command writes an empty response, and no base64.
  if (text !== "" && (text === "=" || !isBase64(text))) {
    throw new SyntaxError(
      "Cannot decode base64: it has a character that is not allowed, or a wrong length",
    );
  }
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
