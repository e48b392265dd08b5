/**
 * SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512 and their -PLUS variants (RFC 5802, RFC 7677).
 *
 * The password stays here; a proof goes that is good for this one login. The server proves in turn that it knows the
 * password's hash. With -PLUS both proofs hold for this TLS connection alone.
 *
 * @module
 */
import { encodeBase64 } from "./base64.ts";
import type { ChannelBinding } from "./channel_binding.ts";
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";
import { ScramExchange } from "./scram_exchange.ts";
import type { ScramHash } from "./scram_keys.ts";

/** How SCRAM is tied to the TLS connection. */
export interface ScramOptions {
  /**
   * What ties the login to the TLS connection, where the client has it. Given without `plus` it tells the server that
   * the client could and has seen no -PLUS on offer (RFC 5802, section 6): leave it out if -PLUS is passed over on purpose.
   */
  channelBinding?: ChannelBinding | undefined;
  /** Whether to be the variant with -PLUS, which needs `channelBinding`. Default: `false`. */
  plus?: boolean;
}

/** Random bytes in a nonce: 144 bits, in 24 characters of base64. */
const NONCE_BYTES = 18;

/**
 * SCRAM-SHA-512, or SCRAM-SHA-512-PLUS.
 *
 * @param credentials The user's name and password.
 * @param options How it is tied to the TLS connection.
 * @returns The mechanism.
 * @throws {TypeError} If `plus` is set without `channelBinding`.
 */
export function scramSha512(credentials: PasswordCredentials, options: ScramOptions = {}): SaslMechanism {
  return scram("SHA-512", credentials, options);
}

/**
 * SCRAM-SHA-256, or SCRAM-SHA-256-PLUS (RFC 7677).
 *
 * @param credentials The user's name and password.
 * @param options How it is tied to the TLS connection.
 * @returns The mechanism.
 * @throws {TypeError} If `plus` is set without `channelBinding`.
 */
export function scramSha256(credentials: PasswordCredentials, options: ScramOptions = {}): SaslMechanism {
  return scram("SHA-256", credentials, options);
}

/**
 * SCRAM-SHA-1, or SCRAM-SHA-1-PLUS (RFC 5802).
 *
 * @param credentials The user's name and password.
 * @param options How it is tied to the TLS connection.
 * @returns The mechanism.
 * @throws {TypeError} If `plus` is set without `channelBinding`.
 */
export function scramSha1(credentials: PasswordCredentials, options: ScramOptions = {}): SaslMechanism {
  return scram("SHA-1", credentials, options);
}

function scram(hash: ScramHash, credentials: PasswordCredentials, options: ScramOptions): SaslMechanism {
  const { channelBinding, plus = false } = options;
  if (plus && channelBinding === undefined) {
    throw new TypeError(`Cannot authenticate with SCRAM-${hash}-PLUS: there is no channel binding`);
  }
  const nonce = encodeBase64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
  return new ScramExchange({ hash, credentials, plus, channelBinding, nonce });
}
