/**
 * What a SASL mechanism is (RFC 4422), and what it is told about the session.
 *
 * @module
 */
import type { ChannelBinding } from "./channel_binding.ts";

/**
 * A SASL mechanism in use: one object for one attempt to authenticate.
 *
 * Whoever drives it sends `initialResponse` (with AUTH, or as the answer to a first, empty challenge), answers each
 * challenge with `respond()`, and calls `finish()` when the server says that the login has succeeded.
 */
export interface SaslMechanism {
  /** The registered name in capitals, such as `"PLAIN"`. */
  readonly name: string;
  /**
   * The initial response, where the mechanism lets the client speak first. A function where it takes time to make; it is
   * called once, before anything is said. If it fails, the mechanism does not fit the credentials and the next is tried.
   */
  readonly initialResponse?: Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
  /**
   * Why the server refuses, where the mechanism has words of its own for it. Read when the login has failed.
   */
  readonly refusal?: string | undefined;
  /**
   * Answers a challenge.
   *
   * @param challenge What the server sent, decoded from base64.
   * @returns The response, before base64.
   * @throws {Error} If the challenge makes no sense or the server could not prove who it is; the exchange is cancelled.
   */
  respond(challenge: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * Has the last word when the server says that the login has succeeded.
   *
   * @throws {Error} If the mechanism was not at its end, or the server has not proved who it is: then the login counts as
   * failed, whatever the server says.
   */
  finish?(): void | Promise<void>;
}

/** A mechanism that has its initial response at once. */
export interface ClientFirstMechanism extends SaslMechanism {
  /** The initial response. */
  readonly initialResponse: Uint8Array;
}

/** What the server's half of a mechanism makes of a response. */
export type ServerStep =
  /** Another challenge is due. */
  | { readonly kind: "challenge"; readonly challenge: Uint8Array }
  /** The client has given its name and password. */
  | { readonly kind: "credentials"; readonly user: string; readonly pass: string }
  /** The response does not follow the mechanism's grammar. */
  | { readonly kind: "malformed" }
  /** The response follows the grammar, and can let nobody in. */
  | { readonly kind: "refused" };

/** The server's half of a mechanism: one object for one attempt to authenticate. */
export interface ServerMechanism {
  /** The registered name in capitals. */
  readonly name: string;
  /**
   * Takes a response.
   *
   * @param response The response, decoded from base64; `undefined` if the client sent none with AUTH.
   * @returns What follows.
   */
  respond(response: Uint8Array | undefined): ServerStep;
}

/** What a mechanism may need to know about the session. */
export interface SaslContext {
  /** The names of the mechanisms that the server offers, in capitals. */
  readonly offered: readonly string[];
  /** The host name that was connected to. */
  readonly hostname?: string | undefined;
  /** The port that was connected to. */
  readonly port?: number | undefined;
  /** What ties the login to this TLS connection. Left out where the connection has none or the runtime does not give it. */
  readonly channelBinding?: ChannelBinding | undefined;
}

/** A user's name and password. */
export interface PasswordCredentials {
  /** The name to authenticate as. */
  user: string;
  /** The password. */
  pass: string;
  /**
   * The name to act as, where that is another than `user` (the authorization identity of RFC 4422, section 3.4.1). Only
   * SCRAM and PLAIN can carry it. Default: none, the server derives it from `user`.
   */
  authzid?: string;
}

/** A user's name and an OAuth 2.0 access token. */
export interface TokenCredentials {
  /** The name to authenticate as, mostly the mail address. */
  user: string;
  /** The access token (RFC 6750), without `Bearer` before it. */
  accessToken: string;
}

/** Credentials that were given by other means, such as a client certificate. */
export interface ExternalCredentials {
  /** The name to act as; `true` leaves it to the server. */
  external: string | true;
}

/** No credentials. */
export interface AnonymousCredentials {
  /** What the server may log: a mail address, or a text of up to 255 characters without `@`. May be empty. */
  anonymous: string;
}

/** What the mechanisms that come with the library take. */
export type Credentials =
  | PasswordCredentials
  | TokenCredentials
  | ExternalCredentials
  | AnonymousCredentials;
