/**
 * The shape of a SASL mechanism (RFC 4422) on the client's side, and the credentials.
 *
 * @module
 */
import type { ChannelBinding } from "./channel_binding.ts";

/**
 * A SASL mechanism in use: one object for one attempt to authenticate.
 *
 * Its driver sends `initialResponse` (with AUTH, or as the response to a first, empty challenge), answers each challenge
 * with `respond()`, and calls `finish()` when the server reports success.
 */
export interface SaslMechanism {
  /** The registered name in capitals, such as `"PLAIN"`. */
  readonly name: string;
  /**
   * The initial response, if the mechanism lets the client speak first. A function if it takes time to make; it is called
   * once, before anything is sent. If it fails, the mechanism does not fit the credentials and the next one is tried.
   */
  readonly initialResponse?: Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
  /**
   * Whether it does not matter what a challenge says: one that is not base64 is then passed on as an empty one. Default:
   * `false`, such a challenge cancels the login.
   */
  readonly acceptsAnyChallenge?: boolean;
  /**
   * Why the server refuses, if the mechanism carries a reason. Read after the login has failed.
   */
  readonly refusal?: string | undefined;
  /**
   * Answers a challenge.
   *
   * @param challenge The challenge, decoded from base64.
   * @returns The response, before base64.
   * @throws {Error} If the challenge is not valid or the server could not prove who it is; the login is cancelled.
   */
  respond(challenge: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * Checks the login after the server has reported success.
   *
   * @throws {Error} If the mechanism is not finished, or the server has not proved who it is: then the login has failed,
   * whatever the server says.
   */
  finish?(): void | Promise<void>;
}

/** A mechanism whose initial response is ready at once. */
export interface ClientFirstMechanism extends SaslMechanism {
  /** The initial response. */
  readonly initialResponse: Uint8Array;
}

/** What mechanisms need to know about the session. */
export interface SaslContext {
  /** The names of the mechanisms that the server offers, in capitals. */
  readonly offered: readonly string[];
  /** The host name of the server. */
  readonly hostname?: string | undefined;
  /** The port of the server. */
  readonly port?: number | undefined;
  /** Ties the login to this TLS connection. Left out if there is no TLS or the runtime does not tell enough. */
  readonly channelBinding?: ChannelBinding | undefined;
}

/** A user's name and password. */
export interface PasswordCredentials {
  /** The name to authenticate as. */
  user: string;
  /** The password. */
  pass: string;
  /**
   * The name to act as, if it is not `user` (the authorization identity of RFC 4422, section 3.4.1). Only SCRAM and PLAIN
   * can carry it. Default: none, the server derives it from `user`.
   */
  authzid?: string;
}

/** A user's name and an OAuth 2.0 access token. */
export interface TokenCredentials {
  /** The name to authenticate as, usually the mail address. */
  user: string;
  /** The access token (RFC 6750), without `Bearer` before it. */
  accessToken: string;
}

/** Credentials outside of SASL, such as a client certificate. */
export interface ExternalCredentials {
  /** The name to act as; `true` leaves it to the server. */
  external: string | true;
}

/** No credentials. */
export interface AnonymousCredentials {
  /** A text for the server's log: a mail address, or up to 255 characters without `@`. May be empty. */
  anonymous: string;
}

/** The credentials that the mechanisms of this library accept. */
export type Credentials =
  | PasswordCredentials
  | TokenCredentials
  | ExternalCredentials
  | AnonymousCredentials;
