/**
 * Rejects a message that has no header, before it is sent: most likely the text of a mail was taken for the whole of it.
 *
 * @module
 */
import { SmtpError } from "../errors.ts";
import type { MessageSource } from "./content.ts";

const TAB = 0x09;
const SPACE = 0x20;
const COLON = 0x3a;
const DEL = 0x7f;

const NO_FIELD = "the message does not begin with a header field";

/** Most likely it was sent before. */
const READ_BEFORE =
  "; a stream can be read only once: to send it again, give a function that opens it, `() => open()`";

/**
 * Throws if a message in memory does not begin with a header field (RFC 5322, section 2.2).
 *
 * @param bytes The message.
 * @throws {SmtpError} `"invalid-message"`.
 */
export function mustHaveHeader(bytes: Uint8Array): void {
  const check = new HeaderCheck();
  check.push(bytes);
  check.end("");
}

/**
 * The same message. If it is not in memory, reading it fails as soon as it turns out not to begin with a header field.
 *
 * @param source The message.
 * @returns It.
 */
export function withHeader(source: MessageSource): MessageSource {
  const { owned, again } = source;
  if (owned) return source;
  return {
    ...source,
    read: () => checked(source.read()),
    ...(again && { again: () => withHeader(again()) }),
  };
}

function checked(pieces: AsyncIterator<Uint8Array>): AsyncIterator<Uint8Array> {
  const check = new HeaderCheck();
  return {
    async next(): Promise<IteratorResult<Uint8Array>> {
      const piece = await pieces.next();
      if (piece.done) check.end(READ_BEFORE);
      else check.push(piece.value);
      return piece;
    },
  };
}

/** Looks at the first bytes, until it has seen a colon after the name of a field. */
class HeaderCheck {
  #seen: "nothing" | "name" | "name and space" | "field" = "nothing";

  push(piece: Uint8Array): void {
    for (let i = 0; i < piece.length && this.#seen !== "field"; i++) {
      const byte = piece[i]!;
      if (byte === COLON && this.#seen !== "nothing") this.#seen = "field";
      else if ((byte === SPACE || byte === TAB) && this.#seen !== "nothing") this.#seen = "name and space";
      else if (byte > SPACE && byte < DEL && byte !== COLON && this.#seen !== "name and space") {
        this.#seen = "name";
      } else throw headerMissing(NO_FIELD);
    }
  }

  /** @param hint What may be the reason if there was nothing at all. */
  end(hint: string): void {
    if (this.#seen === "field") return;
    throw headerMissing(this.#seen === "nothing" ? `the message is empty${hint}` : NO_FIELD);
  }
}

function headerMissing(what: string): SmtpError {
  return new SmtpError(
    "invalid-message",
    `Cannot send: ${what}. A message is header fields such as "Subject: Hello", an empty line and the text ` +
      '(RFC 5322); compose() of @streams/smtp/compose makes one, and missingHeader: "allow" sends it as it is',
    { phase: "content", usable: true },
  );
}
