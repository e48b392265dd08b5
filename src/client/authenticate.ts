/**
 * AUTH (RFC 4954): checks the credentials, chooses the mechanism, and logs in.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { encodeBase64 } from "../sasl/base64.ts";
import { channelBindingOf } from "../sasl/channel_binding.ts";
import { createMechanism, mechanismsFor } from "../sasl/choose.ts";
import type { Credentials, SaslContext, SaslMechanism } from "../sasl/mechanism.ts";
import { AuthDialogue } from "./auth_dialogue.ts";
import type { Conversation } from "./conversation.ts";
import type { Auth, MechanismAuth, TokenAuth } from "./options.ts";
import type { Session } from "./session.ts";

/** "Unrecognized authentication type", and the replies of servers that do not know a mechanism, or find it too weak. */
const NOT_SUPPORTED: ReadonlySet<number> = new Set([500, 502, 504, 534]);

/** Makes a mechanism for an attempt. */
type Make = () => SaslMechanism;

/** The property that distinguishes each kind of {@linkcode Auth}. */
const AUTH_KINDS = ["pass", "accessToken", "external", "anonymous", "mechanism"] as const;

/**
 * Checks credentials.
 *
 * @param auth The credentials.
 * @throws {TypeError} If they make no sense. The message shows no secret.
 */
export function checkAuth(auth: Auth): void {
  const given = AUTH_KINDS.filter((kind) => kind in auth);
  if (given.length !== 1) {
    throw new TypeError(
      `Cannot log in: auth must have one of ${AUTH_KINDS.join(", ")}, it has ${
        given.join(" and ") || "none"
      }`,
    );
  }
  if ("mechanism" in auth) {
    if (typeof auth.mechanism === "function") return;
    throw new TypeError("Cannot log in: auth.mechanism must be a function that makes a mechanism");
  }
  if ("pass" in auth) {
    checkText("user", auth.user);
    checkText("pass", auth.pass);
    if (auth.authzid !== undefined) checkText("authzid", auth.authzid);
  }
  if ("accessToken" in auth) {
    checkText("user", auth.user);
    if (typeof auth.accessToken !== "function") checkText("accessToken", auth.accessToken);
  }
  if ("external" in auth && auth.external !== true) checkText("external", auth.external);
  if ("anonymous" in auth) checkText("anonymous", auth.anonymous);
  checkMechanisms(auth);
}

/** NUL separates the parts of PLAIN: one more would shift name and password. */
function checkText(name: string, value: unknown): void {
  if (typeof value === "string" && !value.includes("\0")) return;
  throw new TypeError(`Cannot log in: auth.${name} must be a string without NUL`);
}

function checkMechanisms(auth: Exclude<Auth, MechanismAuth>): void {
  if (auth.mechanisms === undefined) return;
  const known = mechanismsFor(auth);
  const unknown = auth.mechanisms.filter((name) => !known.includes(name.toUpperCase()));
  if (auth.mechanisms.length > 0 && unknown.length === 0) return;
  throw new TypeError(
    `Cannot log in: auth.mechanisms must be some of ${known.join(", ")}, it is ${
      JSON.stringify(auth.mechanisms)
    }`,
  );
}

/**
 * Tells mechanisms what they need to know about the session.
 *
 * @param session The session.
 * @returns The mechanisms that the server offers, its name, and the channel binding, which makes those with -PLUS possible.
 */
export async function saslContextOf(session: Session): Promise<SaslContext> {
  const { settings: { address }, extensions, agreed: { info } } = session;
  return {
    // OAUTHBEARER tells the server its own name (RFC 7628, section 3.1).
    ...(address !== undefined && "hostname" in address ? address : {}),
    channelBinding: info.tls && await channelBindingOf(info.tls),
    offered: extensions.auth,
  };
}

/**
 * Logs in with the strongest mechanism that the server offers and the credentials allow. A mechanism that the server does not
 * support after all, or that cannot carry the credentials, gives way to the next; refused credentials are not tried again.
 *
 * @param conversation Where to send AUTH.
 * @param auth The credentials, checked.
 * @param context What mechanisms need to know about the session.
 * @returns The name of the mechanism that worked.
 * @throws {SmtpError} `"auth-unsupported"` or `"auth-failed"`. `usable` says whether the session can go on, and another
 * attempt be made.
 */
export async function authenticate(
  conversation: Conversation,
  auth: Auth,
  context: SaslContext,
): Promise<string> {
  if ("mechanism" in auth) return await withCustomMechanism(conversation, auth, context);
  const names = namesFor(auth, context);
  if (!("accessToken" in auth)) return await withCredentials(conversation, names, auth, auth, context);
  if (names.length === 0) throw unsupported(context);
  const accessToken = await tokenOf(auth);
  try {
    return await withCredentials(conversation, names, auth, { user: auth.user, accessToken }, context);
  } catch (error) {
    // An expired token looks like a wrong one. Whoever makes tokens may have a fresh one.
    if (!isRefusal(error)) throw error;
    const fresh = await tokenOf(auth, accessToken);
    if (fresh === accessToken) throw error;
    const known = secretsOf({ user: auth.user, accessToken });
    return await withCredentials(
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

async function withCredentials(
  conversation: Conversation,
  names: readonly string[],
  { mechanisms, initialResponse }: Exclude<Auth, MechanismAuth>,
  credentials: Credentials,
  context: SaslContext,
  refused: readonly string[] = [],
): Promise<string> {
  // A client that leaves -PLUS out on purpose must not tell the server that it has not seen the offer (RFC 5802, section 6).
  const passedOver = mechanisms !== undefined &&
    !mechanisms.some((name) => name.toUpperCase().endsWith("-PLUS"));
  const known = passedOver ? { ...context, channelBinding: undefined } : context;
  const makes = names.map((name) => () => createMechanism(name, credentials, known));
  return await tryEach(conversation, makes, initialResponse ?? true, context, [
    ...secretsOf(credentials),
    ...refused,
  ]);
}

/** The texts that no reply may show, as they are or in base64. */
function secretsOf(credentials: Credentials): string[] {
  const secret = "pass" in credentials
    ? credentials.pass
    : "accessToken" in credentials
    ? credentials.accessToken
    : undefined;
  return secret === undefined ? [] : [secret, encodeBase64(new TextEncoder().encode(secret))];
}

async function withCustomMechanism(
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
    // Its text may hold a token: it is in the cause, and not in the message.
    throw new SmtpError("auth-failed", "Could not obtain the access token", {
      phase: "auth",
      cause,
      usable: true,
    });
  }
}
