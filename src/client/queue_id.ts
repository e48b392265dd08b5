/**
 * The name that a server gives a message, in its reply to the content.
 *
 * @module
 */

/**
 * The text before the id, or after it if the mark begins with a space, in lower case; the more specific ones first.
 *
 * - Postfix, smtp-server and what passes them on: `Ok: queued as 4X8Zq`
 * - Exchange: `<id@host> [InternalId=12345, Hostname=…] 1234 bytes in 0.1, 10 KB/sec Queued mail for delivery`
 * - Exim: `OK id=1abcde-000000-0X`
 * - Gmail: `OK  1700000000 d2e1a72fcca58-6c4e1f5si123456b3a.12 - gsmtp`
 * - Sendmail and OpenSMTPD: `3AM8q1Z2012345 Message accepted for delivery`
 * - Dovecot's LMTP: `<user@host> 4FqUFr3/OGcXAAAAjrAg Saved`
 * - qmail: `ok 1700000000 qp 12345`
 * - Haraka: `Message Queued (0A1B2C3D-….1)`
 * - Mimecast: `Received OK [Xb3…]`
 */
const MARKS = [
  "queued as ",
  "[internalid=",
  "id=",
  "message-id:",
  " - gsmtp",
  " message accepted for delivery",
  " saved",
  "qp ",
  "queued (",
  "received ok [",
];

/** Longer than any id in use; a limit, since the text is the peer's. */
const MAX_LENGTH = 128;

/**
 * Finds the queue id in the text of a reply.
 *
 * @param text The text, without code and enhanced code.
 * @returns The id, or `undefined` if the text has none in a known form.
 */
export function findQueueId(text: string): string | undefined {
  const lower = text.toLowerCase();
  for (const mark of MARKS) {
    const at = lower.indexOf(mark);
    if (at < 0) continue;
    const id = mark.startsWith(" ") ? before(text, at) : after(text, at, mark);
    if (id) return id;
  }
  // Amazon SES and Courier: "Ok 0100018c-…-000000", "Ok. 000000000001.0000…". An id has a digit in it: "Ok queued" has none.
  const [ok, word = "", ...more] = text.split(" ", 3);
  const isAlone = /^ok\.?$/i.test(ok!) && more.length === 0 && /\d/.test(word);
  return isAlone && after(word, 0, "") === word ? word : undefined;
}

/** The word after the mark. */
function after(text: string, at: number, mark: string): string {
  // Not the "id=" of "valid=yes".
  if (at > 0 && isIdCharacter(mark.charCodeAt(0)) && isIdCharacter(text.charCodeAt(at - 1))) return "";
  const begin = at + mark.length;
  let end = begin;
  while (end < text.length && end - begin < MAX_LENGTH && isIdCharacter(text.charCodeAt(end))) end++;
  return text.slice(begin, end);
}

/** The word before the mark: "Your message accepted for delivery" has no id in it. */
function before(text: string, at: number): string | undefined {
  let begin = at;
  while (begin > 0 && at - begin < MAX_LENGTH && isIdCharacter(text.charCodeAt(begin - 1))) begin--;
  const word = text.slice(begin, at);
  return /\d/.test(word) ? word : undefined;
}

/** Letters, digits and `-._@+=/`. */
function isIdCharacter(code: number): boolean {
  return (code >= 0x2d && code <= 0x39) || (code >= 0x40 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f || code === 0x2b || code === 0x3d;
}
