/**
 * The options of a pool, read once.
 *
 * @module
 */
import { mustBe } from "../core/errors.ts";
import { isOwn, mustExist } from "../core/option_names.ts";
import type { OptionHints, OptionNames } from "../core/option_names.ts";
import type { Reply } from "../core/reply.ts";
import { CLIENT_HINTS } from "../client/foreign_options.ts";
import { checkSendOptions, CLIENT_NAMES, describeAddress, readOptions } from "../client/options.ts";
import type { SendOptions, SmtpClientOptions } from "../client/options.ts";
import type { RateLimit } from "./rate.ts";
import { SharedTokens } from "./token.ts";

/** One of several servers: what differs from the other options of the pool. */
export type PoolHost = Pick<
  SmtpClientOptions,
  "hostname" | "port" | "path" | "security" | "tls" | "auth" | "clientName"
>;

/** When a mail is tried again, and a server that cannot be used. */
export interface RetryOptions {
  /**
   * How often a mail is tried before it fails, the first time included. And after how many failures in a row, with no mail
   * taken in between, a server is given up for a while. Default: 5.
   */
  attempts?: number;
  /**
   * How long to wait after the first failure, in milliseconds; twice as long after each further one, each time between half of
   * it and all of it, at random. Default: 1,000. A mail whose connection was lost goes to another one without a wait the first
   * time.
   */
  delay?: number;
  /** The longest that such a wait becomes, in milliseconds. Default: 60,000. */
  maxDelay?: number;
  /**
   * Whether recipients are tried again that the server refuses for now, with a 4xx: those alone. `true`, or a function that is
   * asked about each reply. Default: `false`.
   */
  refused?: boolean | ((reply: Reply) => boolean);
  /**
   * How long to wait before that, in milliseconds; twice as long each further time, up to an hour. Greylisting takes a minute at
   * least. Default: 60,000.
   */
  refusedDelay?: number;
}

/** The options of a pool: those of its clients, and its own. Every time is in milliseconds. */
export interface SmtpPoolOptions extends SmtpClientOptions {
  /**
   * Several servers, by preference, instead of `hostname`, `port` and `path`. The first one that can be used gets all mails; once
   * a better one can be used again, that one does. Default: one server, as the other options say.
   */
  hosts?: readonly PoolHost[];
  /** How many connections there may be at a time. Default: 5. */
  maxConnections?: number;
  /**
   * How many messages go over a connection before another takes its place. A server that has a limit of its own and says 421 costs
   * no mail, only the reconnect. Default: `Infinity`.
   */
  maxMessagesPerConnection?: number;
  /** How old a connection becomes before another takes its place. Default: 3,600,000, an hour. */
  maxAge?: number;
  /** How long a connection may have nothing to do before it is closed. Default: 60,000. */
  idleTimeout?: number;
  /**
   * After how long without anything to do a connection has to answer NOOP before it gets a mail: a server or a firewall may
   * have forgotten it without a word. `0` asks each time, `Infinity` never. Default: 10,000.
   */
  probeAfter?: number;
  /**
   * How many mails may wait in the queue before `ready` and `sendAll()` wait. A call of `send()` beyond that waits like the
   * others. Default: 100.
   */
  maxQueue?: number;
  /** How many messages may begin in any interval, over all connections. Default: no limit. */
  rateLimit?: RateLimit;
  /**
   * How many messages may begin for each domain of recipients: a token bucket, which holds `messages` and gets as many back in an
   * `interval`, evenly. A function is asked about each domain, in lower case and in ASCII, and returns `undefined` for no limit.
   * A message to several domains needs a token of each. Default: no limit.
   */
  domainRateLimit?: RateLimit | ((domain: string) => RateLimit | undefined);
  /** When a mail is tried again. */
  retry?: RetryOptions;
  /**
   * Whether a mail is sent again although the server may have taken it, so that somebody may get it twice. Default: `false`.
   */
  retryUnknown?: boolean;
  /**
   * How many messages may be in flight on each connection, if the server allows more than one. If a connection breaks, the
   * outcome of as many may be unknown. Default: 128.
   */
  maxInFlight?: number;
}

/** How urgent a mail is for the pool. What the server is asked for is `priority` of the envelope. */
export type QueuePriority = "high" | "normal" | "low";

/** How to send one mail through a pool. */
export interface PoolSendOptions extends SendOptions {
  /**
   * Which mails go first; of the same priority, those that came first. While mails of a higher priority wait, every eighth that
   * leaves is of a lower one. Default: `"normal"`.
   */
  priority?: QueuePriority;
}

/** One of the servers, read. */
export interface HostSettings {
  /** Its name and port, for people. */
  readonly name: string;
  /** The options of its clients. */
  readonly client: SmtpClientOptions;
}

/** The options of a pool, read once: complete and checked. */
export interface PoolSettings {
  readonly hosts: readonly HostSettings[];
  readonly signal: AbortSignal | undefined;
  readonly maxConnections: number;
  readonly maxMessagesPerConnection: number;
  readonly maxInFlight: number;
  readonly maxAge: number;
  readonly idleTimeout: number;
  readonly probeAfter: number;
  readonly maxQueue: number;
  readonly rateLimit: RateLimit | undefined;
  readonly domainRateLimit: ((domain: string) => RateLimit | undefined) | undefined;
  readonly retry: Readonly<Required<RetryOptions>>;
  readonly retryUnknown: boolean;
}

type OwnOptions = Omit<SmtpPoolOptions, Exclude<keyof SmtpClientOptions, "maxInFlight" | "signal">>;

const OWN_NAMES: OptionNames<OwnOptions> = {
  hosts: true,
  signal: true,
  maxConnections: true,
  maxMessagesPerConnection: true,
  maxInFlight: true,
  maxAge: true,
  idleTimeout: true,
  probeAfter: true,
  maxQueue: true,
  rateLimit: true,
  domainRateLimit: true,
  retry: true,
  retryUnknown: true,
};

const HOST_NAMES: OptionNames<PoolHost> = {
  hostname: true,
  port: true,
  path: true,
  security: true,
  tls: true,
  auth: true,
  clientName: true,
};

const RETRY_NAMES: OptionNames<RetryOptions> = {
  attempts: true,
  delay: true,
  maxDelay: true,
  refused: true,
  refusedDelay: true,
};

const RATE_NAMES: OptionNames<RateLimit> = { messages: true, interval: true };

/** What to write here instead of the options of nodemailer's pool and others. */
const POOL_HINTS: OptionHints = {
  ...CLIENT_HINTS,
  idle: "use idleTimeout",
  maxMessages: "use maxMessagesPerConnection",
  maxRequeues: "use retry.attempts",
  pool: "leave it out",
  poolSize: "use maxConnections",
  rateDelta: "use rateLimit.interval",
};

const MAKE = "make a pool";

/**
 * Reads the options of a pool.
 *
 * @param given The options.
 * @returns The settings.
 * @throws {TypeError | RangeError} If an option makes no sense.
 */
export function readPoolOptions(given: SmtpPoolOptions): PoolSettings {
  const options = mustExist(MAKE, given, { ...CLIENT_NAMES, ...OWN_NAMES }, { hints: POOL_HINTS });
  const { socket, signal, retryUnknown = false, rateLimit, domainRateLimit } = options;
  if (socket !== undefined && typeof socket !== "function") {
    throw new TypeError(mustBe(MAKE, "socket", "a function that opens one for each connection", socket));
  }
  if (typeof retryUnknown !== "boolean") {
    throw new TypeError(mustBe(MAKE, "retryUnknown", "a boolean", retryUnknown));
  }
  if (rateLimit !== undefined) checkRate("rateLimit", rateLimit);
  if (domainRateLimit !== undefined && typeof domainRateLimit !== "function") {
    checkRate("domainRateLimit", domainRateLimit);
  }
  const maxInFlight = readCount("maxInFlight", options.maxInFlight, 128);
  return {
    hosts: readHosts({ ...options, maxInFlight }),
    signal,
    maxConnections: readCount("maxConnections", options.maxConnections, 5),
    maxMessagesPerConnection: readCount(
      "maxMessagesPerConnection",
      options.maxMessagesPerConnection,
      Infinity,
    ),
    maxInFlight,
    maxAge: readTime("maxAge", options.maxAge, 3_600_000),
    idleTimeout: readTime("idleTimeout", options.idleTimeout, 60_000),
    probeAfter: readTime("probeAfter", options.probeAfter, 10_000),
    maxQueue: readCount("maxQueue", options.maxQueue, 100),
    rateLimit: rateLimit && { ...rateLimit },
    domainRateLimit: readDomainRates(domainRateLimit),
    retry: readRetry(options.retry ?? {}),
    retryUnknown,
  };
}

function readHosts({ hosts, ...options }: SmtpPoolOptions): HostSettings[] {
  const shared: SmtpClientOptions = {};
  for (const name of Object.keys(CLIENT_NAMES)) {
    const key = name as keyof SmtpClientOptions;
    // Each connection has a signal of its own, which the pool's aborts.
    if (isOwn(options, key) && options[key] !== undefined && key !== "signal") {
      Object.assign(shared, { [key]: options[key] });
    }
  }
  const tokens = new SharedTokens();
  if (hosts === undefined) return [readHost(shared, tokens)];
  if (!Array.isArray(hosts) || hosts.length === 0) {
    throw new TypeError(mustBe(MAKE, "hosts", "a list of at least one server", hosts));
  }
  for (const name of ["hostname", "port", "path"] as const) {
    if (options[name] === undefined) continue;
    throw new TypeError(
      `Cannot ${MAKE}: ${name} has no meaning with the option hosts, it is a field of each`,
    );
  }
  return hosts.map((host: PoolHost, index) => {
    const own = mustExist(MAKE, host, HOST_NAMES, { within: `hosts[${index}]`, hints: POOL_HINTS });
    return readHost({ ...shared, ...own }, tokens);
  });
}

function readHost(given: SmtpClientOptions, tokens: SharedTokens): HostSettings {
  const client = mustExist(MAKE, given, CLIENT_NAMES);
  const name = describeAddress(readOptions(client));
  if (client.auth === undefined) return { name, client };
  return { name, client: { ...client, auth: tokens.in(client.auth) } };
}

function readRetry(retry: RetryOptions): Required<RetryOptions> {
  mustExist(MAKE, retry, RETRY_NAMES, { within: "retry" });
  const { refused = false } = retry;
  if (typeof refused !== "boolean" && typeof refused !== "function") {
    throw new TypeError(mustBe(MAKE, "retry.refused", "a boolean or a function", refused));
  }
  return {
    attempts: readCount("retry.attempts", retry.attempts, 5),
    // Without any wait a server that fails would be asked as fast as it says no.
    delay: readTime("retry.delay", retry.delay, 1_000, 1),
    maxDelay: readTime("retry.maxDelay", retry.maxDelay, 60_000, 1),
    refused,
    refusedDelay: readTime("retry.refusedDelay", retry.refusedDelay, 60_000, 1),
  };
}

function readDomainRates(limit: SmtpPoolOptions["domainRateLimit"]): PoolSettings["domainRateLimit"] {
  if (limit === undefined) return undefined;
  if (typeof limit !== "function") {
    const all = { ...limit };
    return () => all;
  }
  return (domain) => {
    const own = limit(domain);
    if (own !== undefined) checkRate("what domainRateLimit() returns", own);
    return own;
  };
}

function checkRate(name: string, rate: RateLimit): void {
  mustExist(MAKE, rate, RATE_NAMES, { within: name });
  const { messages, interval } = rate;
  if (!Number.isInteger(messages) || messages < 1) {
    throw new RangeError(mustBe(MAKE, `${name}.messages`, "a whole number from 1", messages));
  }
  if (typeof interval !== "number" || !(interval > 0) || interval === Infinity) {
    throw new RangeError(mustBe(MAKE, `${name}.interval`, "a number of milliseconds above 0", interval));
  }
}

function readCount(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || (Number.isInteger(value) && value >= 1)) return value;
  throw new RangeError(mustBe(MAKE, name, "a whole number from 1", value));
}

function readTime(name: string, value: number | undefined, otherwise: number, least = 0): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value >= least) return value;
  throw new RangeError(mustBe(MAKE, name, `a number of milliseconds from ${least}`, value));
}

/** The options of `send()` if there are none. */
export const NO_OPTIONS: PoolSendOptions = {};

const NOTHING_SAID = { priority: "normal", client: {} } as const;

/**
 * Takes the pool's own option out of those of a mail, and checks all of them.
 *
 * @param options The options.
 * @returns The priority, and the options for the client.
 * @throws {TypeError} If there are others, or one makes no sense.
 */
export function readSendOptions(options: PoolSendOptions): { priority: QueuePriority; client: SendOptions } {
  if (options === NO_OPTIONS) return NOTHING_SAID;
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
  const { priority = "normal", ...client } = isObject ? options : { ...options };
  checkSendOptions(isObject ? client : options);
  if (priority !== "high" && priority !== "normal" && priority !== "low") {
    throw new TypeError(mustBe("send", "priority", '"high", "normal" or "low"', priority));
  }
  return { priority, client };
}
