/**
 * The server's messages in SCRAM (RFC 5802, sections 5.1 and 7).
 *
 * @module
 */
import { printable } from "../core/characters.ts";
import { decodeBase64 } from "./base64.ts";

/**
 * The smallest number of iterations. RFC 5802, section 5.1, and RFC 7677, section 4, require at least 4,096: a false server
 * asks for fewer, to guess the password faster from the client's proof.
 */
const MIN_ITERATIONS = 4_096;

/**
 * The largest number of iterations. A hostile server asks for 2^31 and keeps the client's processor busy for an hour. Five
 * million are eight times what OWASP recommended for SHA-256 in 2023 (600,000), and take 1 to 5 seconds.
 */
const MAX_ITERATIONS = 5_000_000;

/** The longest reason of a server that is shown. */
const MAX_WORD = 100;

/** The server's first message. */
interface ServerFirst {
  /** The client's nonce, followed by the server's. */
  readonly nonce: string;
  /** The salt. */
  readonly salt: Uint8Array;
  /** The number of times that the hash function is applied. */
  readonly iterations: number;
}

/** The server's last message: its signature, or why it refuses. */
type ServerFinal = { readonly signature: Uint8Array } | { readonly refusal: string };

/**
 * Reads the server's first message.
 *
 * @param message The message.
 * @param clientNonce The client's nonce, which the server's must begin with.
 * @returns Its attributes.
 * @throws {Error} If it is not a first message, asks for an extension, or is not safe to answer.
 */
export function parseServerFirst(message: string, clientNonce: string): ServerFirst {
  const attributes = message.split(",");
  // RFC 5802, section 5.1: "m=" announces an extension that the client must understand, and none is defined.
  if (attributes[0]!.startsWith("m=")) {
    throw new Error("Cannot continue SCRAM: the server asks for an extension that is not supported");
  }
  const nonce = valueOf(attributes, 0, "r", "nonce");
  if (!nonce.startsWith(clientNonce)) {
    throw new Error("Cannot continue SCRAM: the server's nonce does not begin with the client's");
  }
  if (nonce.length === clientNonce.length) {
    throw new Error("Cannot continue SCRAM: the server has added nothing to the client's nonce");
  }
  if (!isPrintable(nonce)) {
    throw new Error("Cannot continue SCRAM: the server's nonce has characters that do not belong there");
  }
  const salt = decode(valueOf(attributes, 1, "s", "salt"), "salt");
  if (salt.length === 0) throw new Error("Cannot continue SCRAM: the server's salt is empty");
  return { nonce, salt, iterations: parseIterations(valueOf(attributes, 2, "i", "iteration count")) };
}

/**
 * Reads the server's last message.
 *
 * @param message The message.
 * @returns Its signature, or why the server refuses.
 * @throws {Error} If it is not a last message.
 */
export function parseServerFinal(message: string): ServerFinal {
  const attributes = message.split(",");
  if (attributes[0]!.startsWith("e=")) return { refusal: printable(attributes[0]!.slice(2), MAX_WORD) };
  return { signature: decode(valueOf(attributes, 0, "v", "signature"), "signature") };
}

/** The attributes have a fixed order (RFC 5802, section 5.1). */
function valueOf(attributes: readonly string[], index: number, name: string, what: string): string {
  const attribute = attributes[index];
  if (!attribute?.startsWith(`${name}=`)) {
    throw new Error(`Cannot continue SCRAM: the server's message has no ${what} in its place`);
  }
  return attribute.slice(2);
}

function decode(text: string, what: string): Uint8Array {
  try {
    return decodeBase64(text);
  } catch (cause) {
    throw new Error(`Cannot continue SCRAM: the server's ${what} is not base64`, { cause });
  }
}

function parseIterations(text: string): number {
  let iterations = text.length === 0 ? NaN : 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    iterations = digit >= 0 && digit <= 9 ? iterations * 10 + digit : NaN;
  }
  if (Number.isNaN(iterations)) {
    throw new Error("Cannot continue SCRAM: the server's iteration count is not a number");
  }
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
    throw new Error(
      `Cannot continue SCRAM: the server's iteration count must be ${MIN_ITERATIONS} to ${MAX_ITERATIONS}, it is ${iterations}`,
    );
  }
  return iterations;
}

/** RFC 5802, section 7: visible ASCII; commas have separated the attributes already. */
function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}
