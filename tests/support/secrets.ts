/**
 * Fails a test that lets a secret out: what a client logs in with must not appear in a trace, a log, an error or on the
 * console, in any form (see {@linkcode formsOf}). The harness watches each test.
 *
 * Secrets are learnt from the `auth` that clients get: passwords, access tokens, also those that functions return, and
 * what custom mechanisms say. A test that has others registers them with {@linkcode registerSecret}.
 *
 * A secret has at least six characters and is not part of the user's name: anything shorter appears in any text.
 * @module
 */
import { inspect } from "node:util";
import { SmtpClient } from "../../src/client/client.ts";
import type { Auth, SmtpClientOptions } from "../../src/client/options.ts";
import type { Receipt } from "../../src/client/receipt.ts";
import { sendMail as send } from "../../src/client/send_mail.ts";
import { SmtpError } from "../../src/errors.ts";
import { MASK } from "../../src/core/secrets.ts";
import { formatTrace, loggerTrace } from "../../src/trace.ts";
import type { Logger } from "../../src/trace.ts";
import type { TraceEvent } from "../../src/trace.ts";
import { formsOf } from "./secret_forms.ts";

/** A shorter secret would be found everywhere. */
const MIN_LENGTH = 6;

/** What one test has shown, and what it must not show. */
class SecretWatch {
  readonly #secrets = new Set<string>();
  readonly #users = new Set<string>();
  /** The events of each client. */
  readonly #traces: TraceEvent[][] = [];
  /** Log lines and what was written to the console, as they were given. */
  readonly #words: unknown[][] = [];
  readonly #errors = new Set<unknown>();
  readonly #clients: unknown[] = [];

  learn(secret: unknown): void {
    if (typeof secret === "string" && secret !== "") this.#secrets.add(secret);
  }

  learnUser(user: unknown): void {
    if (typeof user === "string") this.#users.add(user);
  }

  trace(): TraceEvent[] {
    const events: TraceEvent[] = [];
    this.#traces.push(events);
    return events;
  }

  words(words: unknown[]): void {
    this.#words.push(words);
  }

  error(error: unknown): void {
    this.#errors.add(error);
  }

  client(client: unknown): void {
    this.#clients.push(client);
  }

  /** Throws if a secret was shown. */
  check(): void {
    for (const events of this.#traces) checkMasks(events);
    if (this.#secrets.size === 0) return;
    const forms = [...this.#secrets].flatMap((secret) => {
      const poor = secret.length < MIN_LENGTH || [...this.#users].some((user) => user.includes(secret));
      if (!poor) return formsOf(secret);
      throw new Error(
        `This test logs in with ${JSON.stringify(secret)}, which cannot be told from other text: take ` +
          `${MIN_LENGTH} characters or more that are no part of the user's name`,
      );
    });
    for (const [where, text] of this.#texts()) {
      // Lists of bytes and long lines of base64 are broken, too.
      for (const shown of [text, text.replaceAll(/\s/g, "")]) {
        const at = forms.map((form) => shown.indexOf(form)).find((at) => at >= 0);
        if (at === undefined) continue;
        throw new Error(`A secret was shown in ${where}: ${shown.slice(Math.max(0, at - 80), at + 80)}`);
      }
    }
  }

  *#texts(): Generator<[where: string, text: string]> {
    for (const events of this.#traces) {
      yield ["a trace", events.map((event) => `${formatTrace(event)}\n${JSON.stringify(event)}`).join("\n")];
      yield ["a trace as it is inspected", events.map((event) => show(event)).join("\n")];
      yield ["a log", logOf(events)];
    }
    for (const words of this.#words) yield ["a log or on the console", words.map(show).join(" ")];
    for (const error of this.#errors) yield ["an error", textOf(error)];
    for (const client of this.#clients) yield ["a client", show(client)];
  }
}

/**
 * Everything a client says to log in is masked, and so are the challenges that follow: together they would let a weak
 * password be guessed.
 */
function checkMasks(events: readonly TraceEvent[]): void {
  let said: string | undefined;
  for (const event of events) {
    if (event.type === "command") {
      const [verb, , response] = event.line.split(" ");
      if (verb === "AUTH") said = response ?? "";
      else if (said !== undefined) said = event.line;
      if (said === undefined || said === "" || said === MASK || said === "*") continue;
      throw new Error(`A login was shown in a trace: ${event.line}`);
    } else if (event.type === "reply" && said !== undefined) {
      const { code, text } = event.reply;
      if (code !== 334) said = undefined;
      else if (said !== "" && text !== "" && text !== MASK) {
        throw new Error(`A challenge was shown in a trace: ${text}`);
      }
    }
  }
}

/** What the two kinds of loggers get. */
function logOf(events: readonly TraceEvent[]): string {
  const lines: string[] = [];
  const write = (...words: unknown[]) => void lines.push(words.map(show).join(" "));
  const logger: Logger = { debug: write, info: write, warn: write, error: write };
  for (const trace of [loggerTrace(logger), loggerTrace({ ...logger, dir: write } as Logger)]) {
    for (const event of events) trace(event);
  }
  return lines.join("\n");
}

function show(value: unknown): string {
  return typeof value === "string"
    ? value
    : inspect(value, { depth: 8, showHidden: true, maxStringLength: null });
}

/**
 * Lists everything that can be read from an error: its message, its stack, its causes, its properties.
 * @param error The error.
 */
export function textOf(error: unknown): string {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown, depth: number): void => {
    if (typeof value === "string") texts.push(value);
    if (typeof value !== "object" || value === null || seen.has(value) || depth > 8) return;
    seen.add(value);
    for (const key of Reflect.ownKeys(value)) {
      try {
        visit((value as Record<PropertyKey, unknown>)[key], depth + 1);
      } catch {
        // A getter that throws.
      }
    }
  };
  visit(error, 0);
  texts.push(show(error), String(error));
  try {
    texts.push(JSON.stringify(error) ?? "");
  } catch {
    // A circular cause.
  }
  return texts.join("\n");
}

/** The test that runs. */
let current: SecretWatch | undefined;

/**
 * Registers a secret of the test that runs.
 * @param secret What must not be shown.
 */
export function registerSecret(secret: string): void {
  current?.learn(secret);
}

/**
 * Runs a test, and fails it if it has shown a secret.
 * @param body The test.
 */
export async function watchSecrets(body: () => void | Promise<void>): Promise<void> {
  install();
  const watch = new SecretWatch();
  const before = current;
  current = watch;
  try {
    await body();
  } finally {
    current = before;
  }
  watch.check();
}

let isInstalled = false;

/** Starts watching the console, errors and clients, once. */
function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  watchConsole();
  watchErrors(SmtpError);
  const { connect, open } = SmtpClient;
  SmtpClient.connect = (options) => watchClient(connect, options);
  SmtpClient.open = (options) => watchClient(open, options);
  const { authenticate } = SmtpClient.prototype;
  SmtpClient.prototype.authenticate = async function (this: SmtpClient, auth?: Auth) {
    return await reporting(() =>
      auth === undefined ? authenticate.call(this) : authenticate.call(this, seen(auth))
    );
  };
}

async function watchClient(
  open: (options?: SmtpClientOptions) => Promise<SmtpClient>,
  options: SmtpClientOptions = {},
): Promise<SmtpClient> {
  const watch = current;
  if (watch === undefined) return await open.call(SmtpClient, options);
  const client = await reporting(() => open.call(SmtpClient, watchOptions(watch, options)));
  watch.client(client);
  return client;
}

/** `sendMail()`, watched. It opens its sessions without a client, so that tests take it from here. */
export async function sendMail(...[options, envelope, message]: Parameters<typeof send>): Promise<Receipt> {
  const watch = current;
  if (watch === undefined || typeof options !== "object" || options === null) {
    return await send(options, envelope, message);
  }
  return await reporting(() => send(watchOptions(watch, options), envelope, message));
}

/** The same options, with a trace and a logger that the watch sees, and secrets that it learns. */
function watchOptions<Options extends SmtpClientOptions>(watch: SecretWatch, options: Options): Options {
  const events = watch.trace();
  const { trace } = options;
  return {
    ...options,
    ...(Object.hasOwn(options, "auth") && options.auth && { auth: seen(options.auth) }),
    ...(options.logger && { logger: seenLogger(options.logger, watch) }),
    trace: (event) => {
      events.push(event);
      trace?.(event);
    },
  };
}

/** Errors that are the caller's fault are no `SmtpError`. */
async function reporting<T>(body: () => Promise<T>): Promise<T> {
  const watch = current;
  try {
    return await body();
  } catch (error) {
    watch?.error(error);
    throw error;
  }
}

/** Learns the secrets in `auth`, now and whenever one is asked for. */
function seen(auth: Auth): Auth {
  const watch = current;
  if (watch === undefined || typeof auth !== "object") return auth;
  const { user, pass, accessToken, mechanism } = auth as Partial<
    Record<"user" | "pass" | "accessToken" | "mechanism", unknown>
  >;
  watch.learnUser(user);
  watch.learn(pass);
  watch.learn(accessToken);
  if ("accessToken" in auth && typeof auth.accessToken === "function") {
    const source = auth.accessToken;
    return {
      ...auth,
      accessToken: (...args) => {
        const token = source(...args);
        if (typeof token === "string") watch.learn(token);
        else token?.then?.((token) => watch.learn(token), () => {});
        return token;
      },
    };
  }
  if ("mechanism" in auth && typeof mechanism === "function") {
    return { ...auth, mechanism: (context) => seenMechanism(auth.mechanism(context), watch) };
  }
  return auth;
}

type OwnMechanism = ReturnType<Extract<Auth, { mechanism: unknown }>["mechanism"]>;

/** What a custom mechanism says goes over the wire in base64, and nowhere else. */
function seenMechanism(mechanism: OwnMechanism, watch: SecretWatch): OwnMechanism {
  const learn = (said: unknown) => {
    if (said instanceof Uint8Array && said.length >= MIN_LENGTH) {
      watch.learn(btoa(String.fromCharCode(...said)));
    }
    if (said instanceof Promise) said.then(learn, () => {});
  };
  learn(mechanism?.initialResponse);
  return new Proxy(mechanism, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const said: unknown = value.apply(target, args);
        learn(said);
        return said;
      };
    },
  });
}

function seenLogger(logger: Logger, watch: SecretWatch): Logger {
  return new Proxy(logger, {
    get(target, level) {
      const method: unknown = Reflect.get(target, level, target);
      if (typeof method !== "function" || !["debug", "info", "warn", "error"].includes(String(level))) {
        return method;
      }
      return (...words: unknown[]) => {
        watch.words(words);
        return method.apply(target, words);
      };
    },
  });
}

function watchConsole(): void {
  for (const level of ["debug", "log", "info", "warn", "error", "trace", "dir"] as const) {
    const method = console[level];
    console[level] = (...words: unknown[]) => {
      current?.words(words);
      method.apply(console, words);
    };
  }
}

/** Records each error of a class when it is made, and changes nothing else about it. */
function watchErrors(type: abstract new (...args: never[]) => Error): void {
  const parent: new (message?: string, options?: ErrorOptions) => Error = Object.getPrototypeOf(type);
  class Watched extends parent {
    constructor(message?: string, options?: ErrorOptions) {
      super(message, options);
      current?.error(this);
    }
  }
  Object.setPrototypeOf(type, Watched);
}
