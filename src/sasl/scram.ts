/**
 * SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512 and their -PLUS variants (RFC 5802, RFC 7677).
 *
 * The password is never sent, only a proof that is good for this one login. The server proves in turn that it knows the
 * password's hash. With -PLUS both proofs hold for this TLS connection alone.
 *
 * @module
 */
import { encodeBase64 } from "./base64.ts";
import type { ChannelBinding } from "./channel_binding.ts";
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";
import { computeProofs, equalBytes, type ScramHash } from "./scram_keys.ts";
import { parseServerFinal, parseServerFirst } from "./scram_message.ts";
import { decodeUtf8, escapeSaslName, saslPrep } from "./text.ts";

/** Options of the SCRAM mechanisms. */
export interface ScramOptions {
  /**
   * Ties the login to the TLS connection. Given without `plus`, it tells the server that the client could use -PLUS and has
   * not seen it on offer (RFC 5802, section 6): leave it out to avoid -PLUS on purpose.
   */
  channelBinding?: ChannelBinding | undefined;
  /** Whether to use the variant with -PLUS, which needs `channelBinding`. Default: `false`. */
  plus?: boolean;
}

/** Random bytes in a nonce: 144 bits, in 24 characters of base64. */
const NONCE_BYTES = 18;

/**
 * SCRAM-SHA-512, or SCRAM-SHA-512-PLUS.
 *
 * @param credentials The user's name and password.
 * @param options Ties the login to the TLS connection.
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
 * @param options Ties the login to the TLS connection.
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
 * @param options Ties the login to the TLS connection.
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
  return new Scram({ hash, credentials, plus, channelBinding, nonce });
}

/** The parameters of one login. */
export interface ScramInit {
  /** The hash function. */
  readonly hash: ScramHash;
  /** The user's name and password. */
  readonly credentials: PasswordCredentials;
  /** Whether this is the mechanism with -PLUS, which needs `channelBinding`. */
  readonly plus: boolean;
  /** Ties the login to the TLS connection, if the client can. */
  readonly channelBinding: ChannelBinding | undefined;
  /** The client's nonce: visible ASCII without commas. */
  readonly nonce: string;
}

/** The state of the dialogue (RFC 5802, section 5). */
type State =
  /** Nothing was sent yet. */
  | "begin"
  /** The server's first message is due. */
  | "server-first"
  /** The server's last message is due. */
  | "server-final"
  /** The server has proved who it is. */
  | "verified"
  /** The server has refused. */
  | "refused";

/** A SCRAM mechanism in use. */
export class Scram implements SaslMechanism {
  readonly name: string;
  readonly #settings: ScramInit;
  #state: State = "begin";
  #gs2Header = "";
  #clientFirstBare = "";
  #password = "";
  #serverSignature: Uint8Array = new Uint8Array();
  #refusal: string | undefined;

  constructor(settings: ScramInit) {
    this.#settings = settings;
    this.name = `SCRAM-${settings.hash}${settings.plus ? "-PLUS" : ""}`;
  }

  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Makes the client's first message: the name and a nonce. */
  readonly initialResponse = async (): Promise<Uint8Array> => {
    const { credentials: { user, pass, authzid }, nonce } = this.#settings;
    // A name is a query, a password is as stored (RFC 5802, section 5.1 and 2.2).
    const name = escapeSaslName(await saslPrep("user", user, { query: true }));
    const actAs = authzid === undefined || authzid === ""
      ? ""
      : `a=${escapeSaslName(await saslPrep("authzid", authzid, { query: true }))}`;
    // The password cannot be used where it has no prepared form: better to know before anything is sent.
    this.#password = await saslPrep("password", pass);
    this.#gs2Header = `${this.#bindingFlag()},${actAs},`;
    this.#clientFirstBare = `n=${name},r=${nonce}`;
    this.#state = "server-first";
    return new TextEncoder().encode(this.#gs2Header + this.#clientFirstBare);
  };

  /**
   * RFC 5802, section 6: "p" with the data that follows; "y" if the client could and believes that the server cannot, so
   * that a server which can knows that somebody has removed -PLUS from its offer; "n" if the client cannot.
   */
  #bindingFlag(): string {
    const { plus, channelBinding } = this.#settings;
    return plus ? `p=${channelBinding!.type}` : channelBinding === undefined ? "n" : "y";
  }

  async respond(challenge: Uint8Array): Promise<Uint8Array> {
    switch (this.#state) {
      case "server-first":
        return await this.#answerFirst(this.#decode(challenge));
      case "server-final":
        return this.#answerFinal(this.#decode(challenge));
      default:
        throw new Error("Cannot answer a challenge: SCRAM is not waiting for one");
    }
  }

  async #answerFirst(serverFirst: string): Promise<Uint8Array> {
    const { hash, plus, channelBinding } = this.#settings;
    // Some servers refuse at once, where the grammar has the reason only in the last message.
    if (serverFirst.startsWith("e=")) return this.#answerFinal(serverFirst);
    const { nonce, salt, iterations } = parseServerFirst(serverFirst, this.#settings.nonce);
    const header = new TextEncoder().encode(this.#gs2Header);
    const data = plus ? channelBinding!.data : new Uint8Array();
    const binding = new Uint8Array(header.length + data.length);
    binding.set(header);
    binding.set(data, header.length);
    const withoutProof = `c=${encodeBase64(binding)},r=${nonce}`;
    const { clientProof, serverSignature } = await computeProofs(hash, {
      password: this.#password,
      salt,
      iterations,
      authMessage: `${this.#clientFirstBare},${serverFirst},${withoutProof}`,
    });
    this.#serverSignature = serverSignature;
    this.#state = "server-final";
    return new TextEncoder().encode(`${withoutProof},p=${encodeBase64(clientProof)}`);
  }

  /** The answer to the last message is empty: SMTP has no room for it in the reply itself (RFC 4954, section 4). */
  #answerFinal(message: string): Uint8Array {
    const final = parseServerFinal(message);
    if ("refusal" in final) {
      this.#state = "refused";
      this.#refusal = final.refusal;
      return new Uint8Array();
    }
    if (!equalBytes(final.signature, this.#serverSignature)) {
      throw new Error("The server does not know the password: its signature is wrong");
    }
    this.#state = "verified";
    return new Uint8Array();
  }

  #decode(challenge: Uint8Array): string {
    const text = decodeUtf8(challenge);
    if (text !== undefined) return text;
    throw new Error("Cannot continue SCRAM: the server's message is not UTF-8");
  }

  finish(): void {
    if (this.#state === "verified") return;
    throw new Error("The server has not proved that it knows the password: its signature is missing");
  }
}
