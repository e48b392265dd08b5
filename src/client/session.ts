/**
 * A session as data: the connection, and what both sides have agreed on. It calls nobody; `connect.ts`, the deliveries and the
 * client's commands replace its values as the session goes on.
 *
 * @module
 */
import { Extensions } from "../core/extensions.ts";
import type { Reply } from "../core/reply.ts";
import type { Protection } from "../sasl/choose.ts";
import type { SocketInfo } from "../sockets/socket.ts";
import type { Trace } from "../trace.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./options.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Transaction } from "./transaction.ts";

/** What both sides have agreed on. Replaced as a whole at each step of the session. */
export interface Agreement {
  /** What is known about the connection, and what TLS has checked; `tls` is what protects it now, or is not there. */
  readonly info: SocketInfo;
  /** The server's greeting, once it has come. */
  readonly greeting: Reply | undefined;
  /** The command that has introduced the client, `undefined` before. */
  readonly hello: "EHLO" | "HELO" | "LHLO" | undefined;
  /** What the server offers. */
  readonly extensions: Extensions;
  /** Whether the server has accepted a login. */
  readonly authenticated: boolean;
}

/**
 * An extension that some servers announce although they, or a firewall in front of them, fail at it. `"PIPELINING after
 * DATA"`: commands may leave together, but not after a content whose reply has not come. `"PIPELINING of QUIT"`: only QUIT may not.
 */
export type BrokenExtension = "PIPELINING" | "PIPELINING after DATA" | "PIPELINING of QUIT" | "CHUNKING";

/** How the server differs from what it announces, as far as this connection has shown. */
export interface Quirks {
  /** Extensions that it announces and fails at. */
  readonly broken: ReadonlySet<BrokenExtension>;
  /** Whether it has answered a group of commands on this connection. */
  readonly pipelining: "untested" | "proven";
  /**
   * Whether it has answered a BDAT with 250, here or lately on another connection. `"avoided"`: not yet, and a message has gone by
   * DATA for that.
   */
  readonly chunking: "untested" | "avoided" | "proven";
}

/** A connection is new for this long, in milliseconds: if the server closes it, that is not because it was idle. */
const FRESH = 30_000;

/** One session. */
export class Session {
  /** The options, read. */
  readonly settings: Settings;
  /** The connection. */
  readonly link: Link;
  /** The exchanges in flight on it. */
  readonly pipeline: Pipeline;
  /** Sees what happens. */
  readonly trace: Trace | undefined;
  /** What both sides have agreed on. */
  agreed: Agreement;
  /** What was found out about the server. */
  quirks: Quirks = { broken: new Set(), pipelining: "untested", chunking: "untested" };
  /**
   * The transaction that the server may hold open: the last one of ours, `"unknown"` if the caller has opened one with
   * single commands, `"none"` if there is none.
   */
  held: Transaction | "unknown" | "none" = "none";
  /** How many transactions were begun. */
  transactions = 0;
  /** Whether the caller has asked for the end. */
  quitting = false;
  /** When the connection was established, on the clock of `performance.now()`. */
  established = 0;

  /**
   * @param settings The options, read.
   * @param link The connection.
   * @param pipeline The exchanges in flight on it.
   * @param trace Sees what happens.
   */
  constructor(settings: Settings, link: Link, pipeline: Pipeline, trace: Trace | undefined) {
    this.settings = settings;
    this.link = link;
    this.pipeline = pipeline;
    this.trace = trace;
    this.agreed = {
      info: {},
      greeting: undefined,
      hello: undefined,
      extensions: Extensions.none,
      authenticated: false,
    };
  }

  /** What the server offers. */
  get extensions(): Extensions {
    return this.agreed.extensions;
  }

  /** Whether commands may leave before the replies to those ahead of them have come (RFC 2920). */
  get pipelining(): boolean {
    return this.extensions.pipelining && !this.quirks.broken.has("PIPELINING");
  }

  /** How the connection is protected: what was checked in the handshake counts, not what an option has asked for. */
  get protection(): Protection {
    if (!this.link.secure) return "none";
    return this.agreed.info.tls?.verifiedBy === "nothing" ? "unverified" : "verified";
  }

  /** Whether the connection is protected by TLS and the server's certificate was checked. */
  get protected(): boolean {
    return this.protection === "verified";
  }

  /** Whether the server may hold a transaction open, so that the next one has to begin with RSET. */
  get needsReset(): boolean {
    return this.held === "unknown" || (this.held !== "none" && this.held.needsReset);
  }

  /** Whether the server takes no more messages in this session (`MAILMAX`, RFC 9422). */
  get exhausted(): boolean {
    return this.transactions >= (this.extensions.limits.mailMax ?? Infinity);
  }

  /** Whether the connection is new. */
  get fresh(): boolean {
    return performance.now() - this.established < FRESH;
  }
}
