/**
 * What a token endpoint answers, bounded.
 *
 * @module
 */
import { TokenError } from "./token_error.ts";

/**
 * The longest answer. A token of Microsoft's has some 2 KiB, with `groups` up to some 10; no header of HTTP could carry 64.
 */
const MAX_ANSWER = 64 * 1024;

/**
 * Reads the whole answer, so that what is left of the request is settled and the library finds only what it may look at.
 *
 * @param response The answer.
 * @param signal Gives up reading.
 * @returns An answer with the same status and members.
 * @throws {TokenError} If it is too long, or no answer of a token endpoint by its status.
 */
export async function readAnswer(response: Response, signal: AbortSignal): Promise<Response> {
  const { status } = response;
  const body = await readBounded(response, signal);
  const refusal = status >= 400 && status < 500 && hasError(body);
  if (status !== 200 && !refusal) {
    throw new TokenError("bad-response", `The authorisation server answers with HTTP status ${status}`, {
      status,
      temporary: status >= 500 || status === 429,
    });
  }
  return new Response(withoutIdToken(body), { status, headers: { "content-type": "application/json" } });
}

/** Who the user is nobody asks here, and the library would want to know the issuer to believe it. */
function withoutIdToken(body: string): string {
  const members = parse(body);
  if (members === undefined) return body;
  const kept = Object.entries(members).filter(([name, value]) => name !== "id_token" && value !== null);
  return JSON.stringify(Object.fromEntries(kept));
}

function hasError(body: string): boolean {
  const error = parse(body)?.["error"];
  return typeof error === "string" && error !== "";
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined; // the error shows the beginning of the text, which may be a token
  }
}

async function readBounded(response: Response, signal: AbortSignal): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      length += value.length;
      if (length > MAX_ANSWER) {
        await reader.cancel();
        throw new TokenError(
          "bad-response",
          `The answer of the authorisation server is longer than ${MAX_ANSWER} bytes`,
        );
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch (cause) {
    if (cause instanceof TokenError) throw cause;
    if (signal.reason instanceof TokenError) throw signal.reason;
    throw new TokenError("network", "The connection to the authorisation server failed", {
      cause,
      temporary: true,
    });
  }
}
