/**
 * AUTH (RFC 4954): which mechanism, and what comes of it.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { encodeBase64 } from "../sasl/base64.ts";
import { createMechanism, mechanismsFor } from "../sasl/choose.ts";
import type { Credentials, SaslContext, SaslMechanism } from "../sasl/mechanism.ts";
import { AuthDialogue } from "./auth_dialogue.ts";
import type { Conversation } from "./conversation.ts";
import type { Auth, MechanismAuth, TokenAuth } from "./options.ts";

/** "Unrecognized authentication type", and what servers say that have never heard of it, or find it too weak. */
const NOT_SUPPORTED: ReadonlySet<number> = new Set([500, 502, 504, 534]);

/** Makes a mechanism for an attempt. */
type Make = () => SaslMechanism;

/**
 * Logs in: with the strongest mechanism that the server offers and the credentials allow. One that the server does not
 * support after all, or that cannot carry the credentials, gives way to the next; credentials that are refused are refused.
 *
 * @param conversation Where to.
 * @param offered The mechanisms that the server offers, in capitals.
 * @param auth Who as, checked.
 * @param connection What mechanisms may need to know about the connection. `channelBinding` makes those with -PLUS possible.
 * @returns The name of the mechanism that worked.
 * @throws {SmtpError} `"auth-unsupported"` or `"auth-failed"`. `usable` says whether the session can go on, and another
 * attempt be made.
 */
export async function authenticate(
  conversation: Conversation,
  offered: readonly string[],
  auth: Auth,
  connection: Omit<SaslContext, "offered"> = {},
): Promise<string> {
  const context: SaslContext = { ...connection, offered };
  if ("mechanism" in auth) return await withOwn(conversation, auth, context);
  const names = namesFor(auth, context);
  if (!("accessToken" in auth)) return await withFirst(conversation, names, auth, auth, context);
  if (names.length === 0) throw unsupported(context);
  const accessToken = await tokenOf(auth);
  try {
    return await withFirst(conversation, names, auth, { user: auth.user, accessToken }, context);
  } catch (error) {
    // An expired token looks like a wrong one. Whoever makes tokens may have a fresh one.
    if (!isRefusal(error)) throw error;
    const fresh = await tokenOf(auth, accessToken);
    if (fresh === accessToken) throw error;
    const known = secretsOf({ user: auth.user, accessToken });
    return await withFirst(
      conversation,
      names,
      auth,
      { user: auth.user, accessToken: fresh },
      context,
      known,
    );
  }
}

/** The mechanisms to try: what the credentials allow, the caller wants, the server offers and the connection can. */
function namesFor(auth: Exclude<Auth, MechanismAuth>, { offered, channelBinding }: SaslContext): string[] {
  const wanted = auth.mechanisms?.map((name) => name.toUpperCase()) ?? mechanismsFor(auth);
  return wanted.filter((name) =>
    offered.includes(name) && (channelBinding !== undefined || !name.endsWith("-PLUS"))
  );
}

async function withFirst(
  conversation: Conversation,
  names: readonly string[],
  { mechanisms, initialResponse }: Exclude<Auth, MechanismAuth>,
  credentials: Credentials,
  context: SaslContext,
  refused: readonly string[] = [],
): Promise<string> {
  // Who leaves -PLUS out on purpose must not tell the server that he has not seen it on offer (RFC 5802, section 6).
  const passedOver = mechanisms !== undefined &&
    !mechanisms.some((name) => name.toUpperCase().endsWith("-PLUS"));
  const known = passedOver ? { ...context, channelBinding: undefined } : context;
  const makes = names.map((name) => () => createMechanism(name, credentials, known));
  return await tryEach(conversation, makes, initialResponse ?? true, context, [
    ...secretsOf(credentials),
    ...refused,
  ]);
}

/** What no reply may show, as it is or in base64. */
function secretsOf(credentials: Credentials): string[] {
  const secret = "pass" in credentials
    ? credentials.pass
    : "accessToken" in credentials
    ? credentials.accessToken
    : undefined;
  return secret === undefined ? [] : [secret, encodeBase64(new TextEncoder().encode(secret))];
}

async function withOwn(
  conversation: Conversation,
  auth: MechanismAuth,
  context: SaslContext,
): Promise<string> {
  const make = () => {
    const mechanism = auth.mechanism(context);
    if (!context.offered.includes(mechanism.name)) throw unsupported(context);
    return mechanism;
  };
  return await tryEach(conversation, [make], auth.initialResponse ?? true, context);
}

async function tryEach(
  conversation: Conversation,
  makes: readonly Make[],
  initialAllowed: boolean,
  context: SaslContext,
  secrets: readonly string[] = [],
): Promise<string> {
  let refusal: Reply | undefined;
  let misfit: unknown;
  for (const make of makes) {
    let mechanism: SaslMechanism;
    let initial: Uint8Array | undefined;
    try {
      mechanism = make();
      const { initialResponse } = mechanism;
      initial = typeof initialResponse === "function"
        ? await initialResponse.call(mechanism)
        : initialResponse;
    } catch (error) {
      if (error instanceof SmtpError) throw error;
      misfit = error;
      continue;
    }
    const dialogue = new AuthDialogue(conversation, mechanism, secrets);
    const reply = await dialogue.hold(initial, initialAllowed);
    if (reply.positive) return mechanism.name;
    // Refused credentials are refused: another mechanism would only count as another wrong guess.
    if (!NOT_SUPPORTED.has(reply.code)) {
      const why = mechanism.refusal === undefined ? "" : ` (${mechanism.refusal})`;
      throw dialogue.failed(`The server refuses the login: ${reply.toString()}${why}`, {
        reply,
        usable: true,
      });
    }
    refusal = reply;
  }
  throw unsupported(context, refusal, misfit);
}

function unsupported({ offered }: SaslContext, reply?: Reply, cause?: unknown): SmtpError {
  const names = offered.length === 0 ? "none" : offered.join(", ");
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new SmtpError(
    "auth-unsupported",
    `The server takes no login that the credentials allow; it offers ${names}${why}`,
    { phase: "auth", reply, cause, usable: true },
  );
}

/** Whether the server has refused for good, in a session that can go on. */
function isRefusal(error: unknown): boolean {
  return error instanceof SmtpError && error.code === "auth-failed" && error.usable && !error.temporary &&
    error.cause === undefined;
}

async function tokenOf({ accessToken }: TokenAuth, refused?: string): Promise<string> {
  if (typeof accessToken === "string") return accessToken;
  try {
    const token = await (refused === undefined ? accessToken() : accessToken(refused));
    if (typeof token === "string") return token;
    throw new TypeError(`The access token must be a string, it is of type ${typeof token}`);
  } catch (cause) {
    // What it says may hold a token: it is in the cause for who asks, and not in the message.
    throw new SmtpError("auth-failed", "The access token could not be had", {
      phase: "auth",
      cause,
      usable: true,
    });
  }
}
