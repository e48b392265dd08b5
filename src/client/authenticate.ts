/**
 * AUTH (RFC 4954): which mechanism, and its dialogue.
 *
 * @module
 */
import { renderCommand, renderLine } from "../core/command.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { decodeBase64, encodeBase64 } from "../sasl/base64.ts";
import { login } from "../sasl/login.ts";
import type { SaslMechanism } from "../sasl/mechanism.ts";
import { plain } from "../sasl/plain.ts";
import { MASK } from "../trace.ts";
import type { Conversation } from "./conversation.ts";
import type { Auth } from "./options.ts";

/** The longest AUTH command (RFC 4954, section 4): a longer initial response waits for the server's first challenge. */
const MAX_COMMAND = 12_288;

/** A dialogue longer than any mechanism's: a server that never comes to an end. */
const MAX_CHALLENGES = 16;

/** "Unrecognized authentication type", and what servers say that have never heard of it, or find it too weak. */
const NOT_SUPPORTED: ReadonlySet<number> = new Set([500, 502, 504, 534]);

/**
 * Logs in.
 *
 * @param conversation Where to.
 * @param offered The mechanisms that the server offers.
 * @param auth Who as.
 * @returns The name of the mechanism that worked.
 * @throws {SmtpError} `"auth-unsupported"` or `"auth-failed"`.
 */
export async function authenticate(
  conversation: Conversation,
  offered: readonly string[],
  auth: Auth,
): Promise<string> {
  const mechanisms = candidates(auth).filter(({ name }) => offered.includes(name));
  let refusal: Reply | undefined;
  for (const mechanism of mechanisms) {
    const reply = await attempt(conversation, mechanism, auth.initialResponse ?? true);
    if (reply.positive) return mechanism.name;
    // Refused credentials are refused: another mechanism would only count as another wrong guess.
    if (!NOT_SUPPORTED.has(reply.code)) {
      throw new SmtpError("auth-failed", `The server refuses the login: ${reply.toString()}`, {
        phase: "auth",
        reply,
        command: `AUTH ${mechanism.name}`,
        usable: true,
      });
    }
    refusal = reply;
  }
  const names = offered.length === 0 ? "none" : offered.join(", ");
  throw new SmtpError(
    "auth-unsupported",
    `The server takes no login that the credentials allow; it offers ${names}`,
    { phase: "auth", reply: refusal, usable: true },
  );
}

/** Strongest first. */
function candidates(auth: Auth): SaslMechanism[] {
  return "mechanism" in auth ? [auth.mechanism()] : [plain(auth), login(auth)];
}

/** One mechanism, from AUTH to the reply that ends it. */
async function attempt(
  conversation: Conversation,
  mechanism: SaslMechanism,
  initialAllowed: boolean,
): Promise<Reply> {
  const { name } = mechanism;
  let pending = mechanism.initialResponse;
  let reply: Reply;
  const command = pending && initialAllowed ? initialCommand(name, pending) : undefined;
  if (command !== undefined) {
    pending = undefined;
    reply = await conversation.say(command, "auth", `AUTH ${name} ${MASK}`);
  } else {
    reply = await conversation.say(renderCommand({ verb: "AUTH", mechanism: name }), "auth");
  }
  for (let challenges = 0; reply.code === 334; challenges++) {
    let response: Uint8Array;
    try {
      if (challenges >= MAX_CHALLENGES) {
        throw new Error(`The server has sent ${challenges} challenges and no result`);
      }
      response = pending ?? await mechanism.respond(decodeBase64(reply.text));
      pending = undefined;
    } catch (cause) {
      return await cancel(conversation, name, cause);
    }
    reply = await conversation.say(renderLine(encodeBase64(response)), "auth", MASK);
  }
  if (reply.positive || reply.temporary || reply.permanent) return reply;
  throw new SmtpError("protocol-error", `Unexpected reply to AUTH: ${reply.code}`, { phase: "auth", reply });
}

function initialCommand(mechanism: string, response: Uint8Array): string | undefined {
  // An empty initial response is written "=" (RFC 4954, section 4).
  const initialResponse = response.length === 0 ? "=" : encodeBase64(response);
  if (initialResponse.length + mechanism.length + 8 > MAX_COMMAND) return undefined;
  return renderCommand({ verb: "AUTH", mechanism, initialResponse });
}

/** Ends a dialogue that makes no sense (RFC 4954, section 4), so that the session can go on. */
async function cancel(conversation: Conversation, name: string, cause: unknown): Promise<never> {
  const reply = await conversation.say("*\r\n", "auth");
  throw new SmtpError(
    "auth-failed",
    `The login was given up: ${cause instanceof Error ? cause.message : String(cause)}`,
    { phase: "auth", command: `AUTH ${name}`, cause, reply, temporary: false, usable: !reply.positive },
  );
}
