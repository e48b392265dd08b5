/**
 * AUTH (RFC 4954): checks the credentials, chooses the mechanism, and logs in.
 *
 * @module
 */
import { allWith, mustExist } from "../core/option_names.ts";
import type { OptionNames } from "../core/option_names.ts";
import type { Reply } from "../core/reply.ts";
import { Secrets } from "../core/secrets.ts";
import { SmtpError } from "../errors.ts";
import type { LoginAttempt } from "../errors.ts";
import { channelBindingOf } from "../sasl/channel_binding.ts";
import { createMechanism, mechanismsFor, WITH_PASSWORD } from "../sasl/choose.ts";
import type { Protection } from "../sasl/choose.ts";
import type { Credentials, SaslContext, SaslMechanism } from "../sasl/mechanism.ts";
import { AuthDialogue, checkInitialResponse, describeAttempts } from "./auth_dialogue.ts";
import type { Login } from "./auth_dialogue.ts";
import type { Conversation } from "./conversation.ts";
import { AUTH_HINTS } from "./foreign_options.ts";
import type {
  AnonymousAuth,
  Auth,
  AuthPreferences,
  ExternalAuth,
  MechanismAuth,
  PasswordAuth,
  TokenAuth,
} from "./options.ts";
import type { Session } from "./session.ts";

/** "Unrecognized authentication type", and the replies of servers that do not know a mechanism, or find it too weak. */
const NOT_SUPPORTED: ReadonlySet<number> = new Set([500, 502, 504, 534]);

/** The enhanced status codes for commands, syntax and arguments that are not understood (RFC 3463, section 3.6; RFC 4954). */
const NOT_UNDERSTOOD: ReadonlySet<string> = new Set(["5.5.1", "5.5.2", "5.5.4", "5.5.6"]);

/**
 * The replies of servers that have no secret for a mechanism: 535 is all that most of them say; 432 asks for one login with
 * PLAIN, which makes the secret (RFC 4954, section 6).
 */
const LACKS_SECRET: ReadonlySet<number> = new Set([432, 535]);

/** The reasons by which SCRAM tells of somebody in the middle (RFC 5802, section 7). */
const IN_THE_MIDDLE: ReadonlySet<string> = new Set([
  "channel-bindings-dont-match",
  "server-does-support-channel-binding",
]);

/** Makes a mechanism for an attempt. */
type Make = () => SaslMechanism;

const PREFERENCES: OptionNames<AuthPreferences> = { mechanisms: true, initialResponse: true };

/** What each kind of {@linkcode Auth} has, by the property that distinguishes it. */
const KINDS: {
  pass: OptionNames<PasswordAuth>;
  accessToken: OptionNames<TokenAuth>;
  external: OptionNames<ExternalAuth>;
  anonymous: OptionNames<AnonymousAuth>;
  mechanism: OptionNames<MechanismAuth>;
} = {
  pass: { user: true, pass: true, authzid: true, ...PREFERENCES },
  accessToken: { user: true, accessToken: true, ...PREFERENCES },
  external: { external: true, ...PREFERENCES },
  anonymous: { anonymous: true, ...PREFERENCES },
  mechanism: { mechanism: true, initialResponse: true },
};

const AUTH_KINDS = Object.keys(KINDS) as (keyof typeof KINDS)[];

const AUTH_NAMES: Readonly<Record<string, true>> = Object.assign({}, ...Object.values(KINDS));

/**
 * Checks credentials. A property that is `undefined` counts as left out.
 *
 * @param given The credentials.
 * @returns A copy of the credentials, see {@linkcode mustExist}.
 * @throws {TypeError} If they make no sense. The message shows no secret.
 */
export function checkAuth(given: Auth): Auth {
  const auth = mustExist("log in", given, AUTH_NAMES, { within: "auth", hints: AUTH_HINTS, secret: true });
  const named = AUTH_KINDS.filter((kind) => kind in auth);
  const defined = named.filter((kind) => auth[kind as keyof Auth] !== undefined);
  if (defined.length > 0 && defined.length < named.length) return checkAuth(withoutUndefined(auth));
  const kinds = defined.length > 0 ? defined : named.slice(0, 1);
  if (kinds.length !== 1) {
    throw new TypeError(
      `Cannot log in: auth must have one of ${AUTH_KINDS.join(", ")}, it has ${
        kinds.join(" and ") || "none"
      }`,
    );
  }
  const [kind] = kinds;
  const hints = allWith(AUTH_NAMES, `it has no meaning with auth.${kind}`);
  mustExist("log in", auth, KINDS[kind!], { within: "auth", hints });
  if ("mechanism" in auth) {
    if (typeof auth.mechanism === "function") return { ...auth, mechanism: auth.mechanism.bind(given) };
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
  return auth;
}

/** Copies what there is, which the object may have from its class. */
function withoutUndefined(auth: Auth): Auth {
  const given = auth as unknown as Record<string, unknown>;
  const names = Object.keys(AUTH_NAMES).filter((name) => given[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, given[name]])) as unknown as Auth;
}

/** NUL separates the parts of PLAIN: one more would shift name and password. */
function checkText(name: string, value: unknown): void {
  if (typeof value === "string" && !value.includes("\0")) return;
  const type = typeof value === "string"
    ? ""
    : `, it is ${value === null ? "null" : `of type ${typeof value}`}`;
  throw new TypeError(`Cannot log in: auth.${name} must be a string without NUL${type}`);
}

function checkMechanisms(auth: Exclude<Auth, MechanismAuth>): void {
  if (auth.mechanisms === undefined) return;
  const known = mechanismsFor(auth);
  const isKnown = (name: unknown) => typeof name === "string" && known.includes(name.toUpperCase());
  if (Array.isArray(auth.mechanisms) && auth.mechanisms.length > 0 && auth.mechanisms.every(isKnown)) return;
  // Not what it is: any property of auth may hold the password by mistake.
  throw new TypeError(`Cannot log in: auth.mechanisms must be an array of ${known.join(", ")}`);
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
 * Logs in with the first mechanism, in the order of {@linkcode mechanismsFor}, that the server offers and the credentials
 * allow. A mechanism that the server does not support after all, or that cannot carry the credentials, gives way to the next.
 *
 * A server that refuses SCRAM or CRAM-MD5 may have no secret of this user that these could be checked with: one try of PLAIN or
 * LOGIN follows. Other refused credentials are not tried again.
 *
 * @param conversation Where to send AUTH.
 * @param auth The credentials, checked.
 * @param context What mechanisms need to know about the session.
 * @param protection How the session is protected. `"none"` only where the caller has asked for it.
 * @returns The name of the mechanism that worked.
 * @throws {SmtpError} `"auth-unsupported"` or `"auth-failed"`. `usable` says whether the session can go on, and another
 * attempt be made; `attempts` lists the mechanisms that were tried.
 */
export async function authenticate(
  conversation: Conversation,
  auth: Auth,
  context: SaslContext,
  protection: Protection,
): Promise<string> {
  const login: Login = {
    conversation,
    initialAllowed: auth.initialResponse ?? true,
    secrets: conversation.hide(new Secrets()),
    custom: "mechanism" in auth,
    attempts: [],
  };
  if ("mechanism" in auth) return await withCustomMechanism(login, auth, context);
  const names = namesFor(auth, context, protection);
  if (!("accessToken" in auth)) {
    return await withCredentials(login, names, auth, auth, context, mayFallBack(auth, protection));
  }
  if (names.length === 0) throw unsupported(context);
  const accessToken = await tokenOf(auth);
  try {
    return await withCredentials(login, names, auth, { user: auth.user, accessToken }, context);
  } catch (error) {
    // An expired token looks like a wrong one. Whoever makes tokens may have a fresh one.
    if (!isRefusal(error)) throw error;
    const fresh = await tokenOf(auth, accessToken);
    if (fresh === accessToken) throw error;
    return await withCredentials(login, names, auth, { user: auth.user, accessToken: fresh }, context);
  }
}

/** The mechanisms to try: what the credentials allow, the caller wants, the server offers and the connection can. */
function namesFor(
  auth: Exclude<Auth, MechanismAuth>,
  { offered, channelBinding }: SaslContext,
  protection: Protection,
): string[] {
  const wanted = namedIn(auth) ?? mechanismsFor(auth, protection);
  return wanted.filter((name) =>
    offered.includes(name) && (channelBinding !== undefined || !name.endsWith("-PLUS"))
  );
}

/** The mechanisms that the caller has named. */
function namedIn({ mechanisms }: Exclude<Auth, MechanismAuth>): string[] | undefined {
  return mechanisms?.map((name) => name.toUpperCase());
}

/** Whether the caller has named a mechanism that is bound to the TLS connection. */
function namesPlus(auth: Exclude<Auth, MechanismAuth>): boolean {
  return namedIn(auth)?.some((name) => name.endsWith("-PLUS")) ?? false;
}

/**
 * Whether a refusal of SCRAM or CRAM-MD5 may be followed by the password itself. A false server needs only to refuse in order to get
 * it: so not where anybody may be at the other end, nor for those who insist on a login that is bound to the connection.
 */
function mayFallBack(auth: Exclude<Auth, MechanismAuth>, protection: Protection): boolean {
  return protection !== "unverified" && !namesPlus(auth);
}

async function withCredentials(
  login: Login,
  names: readonly string[],
  auth: Exclude<Auth, MechanismAuth>,
  credentials: Credentials,
  context: SaslContext,
  fallsBack = false,
): Promise<string> {
  // A client that leaves -PLUS out on purpose must not tell the server that it has not seen the offer (RFC 5802, section 6).
  const passedOver = auth.mechanisms !== undefined && !namesPlus(auth);
  const known = passedOver ? { ...context, channelBinding: undefined } : context;
  const makes = names.map((name) => () => createMechanism(name, credentials, known));
  if ("pass" in credentials) login.secrets.add(credentials.pass);
  if ("accessToken" in credentials) login.secrets.add(credentials.accessToken);
  return await tryEach(login, makes, context, fallsBack);
}

async function withCustomMechanism(
  login: Login,
  auth: MechanismAuth,
  context: SaslContext,
): Promise<string> {
  const make = () => {
    const mechanism = auth.mechanism(context);
    if (!context.offered.includes(mechanism.name)) throw unsupported(context);
    return mechanism;
  };
  return await tryEach(login, [make], context, false);
}

async function tryEach(
  login: Login,
  makes: readonly Make[],
  context: SaslContext,
  fallsBack: boolean,
): Promise<string> {
  let refused: SmtpError | undefined; // the password itself is what is still to be tried
  let misfit: unknown;
  for (const make of makes) {
    let mechanism: SaslMechanism;
    let initial: Uint8Array | undefined;
    try {
      mechanism = make();
      if (refused !== undefined && !WITH_PASSWORD.includes(mechanism.name)) continue;
      const { initialResponse } = mechanism;
      initial = typeof initialResponse === "function"
        ? await initialResponse.call(mechanism)
        : initialResponse;
      if (initial !== undefined) checkInitialResponse(mechanism.name, initial);
    } catch (error) {
      if (error instanceof SmtpError) throw error;
      misfit = error;
      continue;
    }
    const dialogue = new AuthDialogue(login, mechanism);
    let reply: Reply;
    try {
      reply = await dialogue.hold(initial);
    } catch (error) {
      if (refused === undefined || !(error instanceof SmtpError) || !error.temporary) throw error;
      // A server that has refused and then hangs up has refused all the same: to come again would be one more wrong guess.
      throw afterAll(refused, login.attempts, error);
    }
    if (reply.positive) return mechanism.name;
    if (saysUnsupported(reply)) {
      dialogue.note(reply);
      continue;
    }
    const why = dialogue.reason === undefined ? "" : ` (${dialogue.reason})`;
    const error = dialogue.failed(`The server refuses the login: ${reply.toString()}${why}`, {
      reply,
      usable: true,
    });
    if (!fallsBack || refused !== undefined || !mayLackSecret(mechanism, reply, dialogue.answered)) {
      throw error;
    }
    refused = error;
  }
  throw refused === undefined
    ? unsupported(context, login.attempts, misfit)
    : afterAll(refused, login.attempts);
}

/** Whether a server says that it does not support a mechanism, or the way in which it was begun. */
function saysUnsupported({ code, permanent, enhancedCode }: Reply): boolean {
  return NOT_SUPPORTED.has(code) || (permanent && NOT_UNDERSTOOD.has(enhancedCode ?? ""));
}

/**
 * Whether a refusal may mean that the server has nothing to check this mechanism with, though the password is right.
 *
 * Not where it may mean that somebody is in the middle, who must not get the password: SCRAM says so, or a proof that is bound to the
 * connection was refused.
 */
function mayLackSecret(
  { name, refusal = "" }: SaslMechanism,
  { code }: Reply,
  answered: boolean,
): boolean {
  if (IN_THE_MIDDLE.has(refusal) || (answered && name.endsWith("-PLUS"))) return false;
  return LACKS_SECRET.has(code) && (name.startsWith("SCRAM-") || name === "CRAM-MD5");
}

/** The error of a refusal that the last try could not change. */
function afterAll(refused: SmtpError, attempts: readonly LoginAttempt[], cause?: SmtpError): SmtpError {
  const later = describeAttempts(attempts.slice(refused.attempts.length));
  const message = later === "" ? refused.message : `${refused.message} (then ${later})`;
  return new SmtpError(refused.code, message, {
    ...refused,
    attempts: [...attempts],
    cause,
    usable: cause === undefined,
  });
}

function unsupported(
  { offered }: SaslContext,
  attempts: readonly LoginAttempt[] = [],
  cause?: unknown,
): SmtpError {
  const names = offered.length === 0 ? "none" : offered.join(", ");
  const tried = attempts.length === 0 ? "" : ` (${describeAttempts(attempts)})`;
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new SmtpError(
    "auth-unsupported",
    `The server takes no login that the credentials allow; it offers ${names}${tried}${why}`,
    { phase: "auth", reply: attempts.at(-1)?.reply, attempts: [...attempts], cause, usable: true },
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
