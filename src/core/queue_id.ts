/**
 * The name that a server gives a message, in its reply to the content.
 *
 * @module
 */

/** What stands before the id: Postfix and smtp-server, Exim, Sendmail and others. */
const MARKS = ["queued as ", "id=", "message-id:"] as const;

/** Longer than any id in use; a limit, since the text is the peer's. */
const MAX_LENGTH = 128;

/**
 * Finds the queue id in the text of a reply.
 *
 * @param text The text, without code and enhanced code.
 * @returns The id, or `undefined` where the text has none in a form that is known.
 */
export function findQueueId(text: string): string | undefined {
  const lower = text.toLowerCase();
  for (const mark of MARKS) {
    const at = lower.indexOf(mark);
    // Not the "id=" of "valid=yes".
    if (at < 0 || (at > 0 && isIdCharacter(lower.charCodeAt(at - 1)))) continue;
    let end = at + mark.length;
    const begin = end;
    while (end < text.length && end - begin < MAX_LENGTH && isIdCharacter(text.charCodeAt(end))) end++;
    if (end > begin) return text.slice(begin, end);
  }
  return undefined;
}

/** Letters, digits and `-._@+=/`. */
function isIdCharacter(code: number): boolean {
  return (code >= 0x2d && code <= 0x39) || (code >= 0x40 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f || code === 0x2b || code === 0x3d;
}
