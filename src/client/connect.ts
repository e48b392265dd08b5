/**
 * How a session begins: socket, greeting, EHLO, STARTTLS, AUTH. The top of a session's life: nothing that it imports
 * imports it.
 *
 * @module
 */
import { isAddressLiteral } from "../core/address_literal.ts";
import { renderLine } from "../core/command.ts";
import { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import type { SocketInfo, TlsInfo, TlsOptions } from "../sockets/socket.ts";
import { joinTraces, loggerTrace } from "../trace.ts";
import type { SessionState, TraceEvent } from "../trace.ts";
import { recallBroken } from "./broken_extensions.ts";
import { Conversation } from "./conversation.ts";
import {
  aborted,
  commandRefused,
  leadToCaller,
  thrown,
  toSmtpError,
  ungreeted,
  unopened,
} from "./failure.ts";
import { Link } from "./link.ts";
import { opened, openSocket } from "./open_socket.ts";
import { describeAddress } from "./options.ts";
import type { Auth, Settings } from "./options.ts";
import { Pipeline } from "./pipeline.ts";
import { sayQuit } from "./quit.ts";
import { Session } from "./session.ts";

/**
 * How long a session that did not become ready waits for the reply to its QUIT, in milliseconds. Nothing depends on it, and
 * a process that has nothing else to do is kept waiting by it.
 */
const QUIT_TIMEOUT = 1_000;

/** The name of a client that knows neither its name nor its address. */
const LOCAL_NAME = "localhost";

/**
 * Opens a session.
 *
 * @param settings Where to and how.
 * @param extent `"ready"`: as far as the settings ask for; `"greeting"`: up to the greeting, and nothing is sent.
 * @returns The session.
 * @throws {TypeError | SmtpError} If an option cannot be honoured, or the session cannot be opened.
 */
export async function openSession(settings: Settings, extent: "ready" | "greeting"): Promise<Session> {
  const { logger, signal } = settings;
  let { auth } = settings;
  // The mechanisms are loaded only for a login, and a login that makes no sense opens nothing.
  if (auth !== undefined) auth = (await import("./authenticate.ts")).checkAuth(auth);
  const traces = [settings.trace, logger && loggerTrace(logger)];
  const all = joinTraces(traces, (error) => pipeline.fail(thrown("trace", error, "command")));
  // Replies come masked. A command of the caller's may hold a secret, too.
  const trace = all && ((event: TraceEvent) => {
    const { secrets } = link;
    all(secrets && event.type === "command" ? { ...event, line: secrets.mask(event.line) } : event);
  });
  const link = new Link(openSocket(settings), settings.replyLimits);
  const { timeouts, maxBytesInFlight } = settings;
  const pipeline: Pipeline = new Pipeline(link, { timeouts, maxBytesInFlight, trace });
  const session = new Session(settings, link, pipeline, trace);
  endOnAbort(session);
  try {
    if (signal?.aborted) throw aborted(signal, "connect"); // a socket of the caller's is closed for that, too
    await establish(session);
    await Conversation.hold(session, async (conversation) => {
      await readGreeting(session, conversation);
      if (extent === "greeting") return;
      await introduce(session, conversation);
      await secure(session, conversation);
      if (auth !== undefined) await login(session, conversation, auth);
    });
  } catch (error) {
    const reason = toSmtpError(error, "connect");
    const failure = unopened(reason);
    // If the signal or a broken connection ended it, that is the reason, and not what followed from it. But what the server has
    // said before it hung up is the reason of both.
    const isSaid = failure.reply !== undefined && failure.reply.code !== 421;
    const shown = isSaid ? failure : pipeline.failure ?? failure;
    endSession(session, failure, reason.usable);
    throw leadToCaller(ungreeted(shown, link.secure));
  }
  return session;
}

/**
 * Ends a session that does not become ready. A client does not hang up before it has said QUIT (RFC 5321, section 4.1.1.10): it
 * does so where the server still listens, and nobody waits for that.
 *
 * @param session The session.
 * @param failure Why.
 * @param inStep Whether every command has had its reply. Default: where the server has refused EHLO.
 */
export function endSession(session: Session, failure: SmtpError, inStep = false): void {
  const { pipeline } = session;
  if (!inStep && failure.code !== "command-refused") return pipeline.fail(failure);
  void sayQuit(session, { reason: failure, limit: QUIT_TIMEOUT });
}

function endOnAbort({ settings: { signal }, pipeline }: Session): void {
  if (signal === undefined) return;
  const onAbort = () => pipeline.fail(aborted(signal, "command"));
  signal.addEventListener("abort", onAbort);
  void pipeline.closed.then(() => signal.removeEventListener("abort", onAbort));
}

/** Waits until the connection is open. */
async function establish(session: Session): Promise<void> {
  const { link, settings } = session;
  traceState(session, "connecting", describeAddress(settings));
  const info = await opened(link.opened, settings, "connect");
  session.agreed = { ...session.agreed, info: checked(info, link, settings.tls) };
  session.established = performance.now();
  traceState(session, "connected", info.remoteAddress);
  if (link.secure) traceState(session, "secured");
}

/**
 * What is known about the connection, for all that depends on TLS. A socket of the caller's that does TLS by itself may not say
 * what it has checked: then it counts as what it was asked to. TLS that does not reach the server does not count.
 */
function checked({ tls, ...info }: SocketInfo, { secure }: Link, { verify }: TlsOptions): SocketInfo {
  if (!secure) return info;
  const asked: TlsInfo = verify === false ? { verifiedBy: "nothing" } : {};
  return { ...info, tls: { ...asked, ...tls } };
}

async function readGreeting(session: Session, conversation: Conversation): Promise<void> {
  const greeting = await conversation.listen("greeting");
  session.agreed = { ...session.agreed, greeting };
  if (greeting.positive) return;
  // After anything but 421 the server waits for QUIT (RFC 5321, section 3.1).
  throw new SmtpError("service-unavailable", `The server refuses the connection: ${greeting.toString()}`, {
    phase: "greeting",
    reply: greeting,
    usable: greeting.code !== 421,
  });
}

/**
 * Greets a server that knows nothing of the client, or no longer does. EHLO, or HELO if the server does not know EHLO (RFC
 * 5321, section 3.2). LMTP has only LHLO.
 *
 * @param session The session.
 * @param conversation Where to send it.
 * @throws {SmtpError} `"command-refused"`: the session cannot go on.
 */
export async function introduce(session: Session, conversation: Conversation): Promise<void> {
  session.agreed = { ...session.agreed, hello: undefined, extensions: Extensions.none };
  const verb = session.settings.protocol === "lmtp" ? "LHLO" : "EHLO";
  let reply = await hello(session, conversation, verb);
  if (verb === "EHLO" && reply.permanent) reply = await hello(session, conversation, "HELO");
  if (!reply.positive) throw commandRefused(verb, "ehlo", reply, false);
}

/**
 * Sends EHLO, HELO or LHLO, and takes the server's extensions from its reply.
 *
 * @param session The session.
 * @param conversation Where to send it.
 * @param verb Which of them.
 * @param domain The client's name. Default: as the settings say, else its address (RFC 5321, section 4.1.4).
 * @returns The reply, whatever it is.
 */
export async function hello(
  session: Session,
  conversation: Conversation,
  verb: "EHLO" | "HELO" | "LHLO",
  domain: string = session.settings.clientName ?? localName(session.agreed.info),
): Promise<Reply> {
  const reply = await conversation.say(renderLine(`${verb} ${domain}`), "ehlo");
  // One that is refused changes nothing (RFC 5321, section 4.1.4).
  if (!reply.positive) return reply;
  const extensions = verb !== "HELO" ? Extensions.parse(reply) : Extensions.none;
  session.agreed = { ...session.agreed, hello: verb, extensions };
  // It resets the server, too (RFC 5321, section 4.1.4).
  session.held = "none";
  recallBroken(session);
  // Without PIPELINING nothing may be sent before the last reply has come (RFC 2920).
  session.pipeline.window.limit = session.pipelining ? session.settings.maxInFlight : 1;
  return reply;
}

/** A client without a name gives its address (RFC 5321, section 4.1.4). */
function localName({ localAddress }: SocketInfo): string {
  if (localAddress === undefined) return LOCAL_NAME;
  const literal = localAddress.startsWith("[")
    ? `[IPv6:${localAddress.slice(1, localAddress.indexOf("]")).split("%")[0]}]`
    : `[${localAddress.slice(0, localAddress.lastIndexOf(":"))}]`;
  // A socket of the caller's says what it likes.
  return isAddressLiteral(literal) ? literal : LOCAL_NAME;
}

/** STARTTLS, if the settings require or allow it. */
async function secure(session: Session, conversation: Conversation): Promise<void> {
  const { settings: { security, tls }, link, extensions } = session;
  if (link.secure || security === "tls" || security === "none") return;
  const isRequired = security === "starttls";
  if (!isRequired && !(link.canStartTls && extensions.startTls)) return;
  try {
    await startTls(session, conversation, tls);
  } catch (error) {
    // If the server refuses, the session goes on without TLS; not if it hangs up.
    const refused = error instanceof SmtpError && error.code === "starttls-unavailable" && error.usable;
    if (isRequired || !refused) throw error;
  }
}

/**
 * Sends STARTTLS, switches to TLS, and greets the server anew (RFC 3207).
 *
 * @param session The session.
 * @param conversation Where to send it.
 * @param tls How TLS is spoken.
 * @throws {TypeError} If an option of TLS is not valid, or contradicts another; nothing was sent.
 * @throws {SmtpError} `"starttls-unavailable"`; `usable` says whether the session can go on without.
 */
export async function startTls(session: Session, conversation: Conversation, tls: TlsOptions): Promise<void> {
  const { link, settings } = session;
  if (!link.canStartTls) throw startTlsUnavailable(settings, "the socket cannot start it here");
  if (!session.extensions.startTls) {
    throw startTlsUnavailable(settings, "the server does not offer STARTTLS");
  }
  // The socket has got those of the settings, and the name.
  const options = tls === settings.tls ? {} : tls;
  link.checkTls(options);
  const reply = await conversation.say("STARTTLS\r\n", "starttls");
  if (!reply.positive) {
    throw startTlsUnavailable(settings, `the server refuses STARTTLS: ${reply.toString()}`, reply);
  }
  const info = await opened(upgrade(link, options), settings, "starttls");
  traceState(session, "secured");
  session.agreed = { ...session.agreed, info: checked(info, link, { ...settings.tls, ...tls }) };
  // What was learnt before TLS may have been somebody else's words (RFC 3207, section 4.2): all of it is asked for again.
  await introduce(session, conversation);
}

async function upgrade(link: Link, options: TlsOptions): Promise<SocketInfo> {
  try {
    return await link.startTls(options);
  } catch (cause) {
    // A socket of the caller's that cannot do it. (A SocketError is a TypeError too, and says more.)
    if (!(cause instanceof TypeError) || cause.name === "SocketError") throw cause;
    throw new SmtpError("starttls-unavailable", cause.message, { phase: "starttls", cause });
  }
}

function startTlsUnavailable({ auth }: Settings, why: string, reply?: Reply): SmtpError {
  const [goal, what] = auth === undefined ? ["", "the mail"] : [" for the login", "the credentials"];
  return new SmtpError(
    "starttls-unavailable",
    `TLS is required${goal} and ${why}; use security: "tls" if a port has TLS from the first byte, usually 465, ` +
      `or security: "none" to send ${what} in the clear`,
    { phase: "starttls", reply, usable: reply?.code !== 421 },
  );
}

/**
 * Logs in. Credentials travel only under TLS, unless the caller has chosen `security: "none"`.
 *
 * @param session The session.
 * @param conversation Where to send AUTH.
 * @param auth The credentials, checked.
 * @returns The mechanism that worked.
 * @throws {SmtpError} `"auth-insecure"`, `"auth-unsupported"` or `"auth-failed"`.
 */
export async function login(session: Session, conversation: Conversation, auth: Auth): Promise<string> {
  const { link, settings: { security }, extensions } = session;
  if (!link.secure && security !== "none") {
    throw new SmtpError(
      "auth-insecure",
      `Cannot log in: the session is not protected by TLS, security is "${security}"; use security: "starttls" or "tls", or "none" ` +
        "to send the credentials in the clear",
      { phase: "auth", usable: true },
    );
  }
  if (!link.secure && extensions.startTls && extensions.auth.length === 0) {
    throw new SmtpError(
      "auth-unsupported",
      'The server takes no login in the clear; use security: "starttls"',
      { phase: "auth", usable: true },
    );
  }
  const { authenticate, saslContextOf } = await import("./authenticate.ts");
  const context = await saslContextOf(session);
  const mechanism = await authenticate(conversation, auth, context, session.protection);
  session.agreed = { ...session.agreed, authenticated: true };
  traceState(session, "authenticated", mechanism);
  return mechanism;
}

function traceState({ trace }: Session, state: SessionState, detail = ""): void {
  trace?.({ type: "state", state, detail });
}
