/**
 * The dialogue of SCRAM (RFC 5802, section 5), the same for every hash function.
 *
 * @module
 */
import { encodeBase64 } from "./base64.ts";
import type { ChannelBinding } from "./channel_binding.ts";
import type { PasswordCredentials, SaslMechanism } from "./mechanism.ts";
import { escapeSaslName } from "./sasl_name.ts";
import { saslPrep } from "./saslprep.ts";
import { computeProofs, equalBytes } from "./scram_keys.ts";
import type { ScramHash } from "./scram_keys.ts";
import { parseServerFinal, parseServerFirst } from "./scram_message.ts";

/** What a dialogue goes by. */
export interface ScramSettings {
  /** The hash function. */
  readonly hash: ScramHash;
  /** Who logs in. */
  readonly credentials: PasswordCredentials;
  /** Whether this is the mechanism with -PLUS: then `channelBinding` is there. */
  readonly plus: boolean;
  /** What ties the login to the TLS connection, where the client can. */
  readonly channelBinding: ChannelBinding | undefined;
  /** The client's nonce: visible ASCII without commas. */
  readonly nonce: string;
}

/** Where the dialogue stands. */
type State =
  /** Nothing was said yet. */
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
export class ScramExchange implements SaslMechanism {
  readonly name: string;
  readonly #settings: ScramSettings;
  #state: State = "begin";
  #gs2Header = "";
  #clientFirstBare = "";
  #password = "";
  #serverSignature: Uint8Array = new Uint8Array();
  #refusal: string | undefined;

  constructor(settings: ScramSettings) {
    this.#settings = settings;
    this.name = `SCRAM-${settings.hash}${settings.plus ? "-PLUS" : ""}`;
  }

  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Makes the client's first message: who, and a nonce. */
  readonly initialResponse = async (): Promise<Uint8Array> => {
    const { credentials: { user, pass, authzid }, nonce } = this.#settings;
    // A name is a query, a password is as stored (RFC 5802, section 5.1 and 2.2).
    const name = escapeSaslName(await saslPrep("user", user, { query: true }));
    const actAs = authzid === undefined || authzid === ""
      ? ""
      : `a=${escapeSaslName(await saslPrep("authzid", authzid, { query: true }))}`;
    // The password cannot be used where it has no prepared form: better to know before anything is said.
    this.#password = await saslPrep("password", pass);
    this.#gs2Header = `${this.#bindingFlag()},${actAs},`;
    this.#clientFirstBare = `n=${name},r=${nonce}`;
    this.#state = "server-first";
    return new TextEncoder().encode(this.#gs2Header + this.#clientFirstBare);
  };

  /**
   * RFC 5802, section 6: "p" with the data that follows; "y" if the client could and believes that the server cannot, so
   * that a server that can knows that somebody has taken -PLUS out of its offer; "n" if the client cannot.
   */
  #bindingFlag(): string {
    const { plus, channelBinding } = this.#settings;
    return plus ? `p=${channelBinding!.type}` : channelBinding === undefined ? "n" : "y";
  }

  async respond(challenge: Uint8Array): Promise<Uint8Array> {
    switch (this.#state) {
      case "server-first":
        return await this.#answerFirst(toText(challenge));
      case "server-final":
        return this.#answerFinal(toText(challenge));
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

  finish(): void {
    if (this.#state === "verified") return;
    throw new Error("The server has not proved that it knows the password: its signature is missing");
  }
}

function toText(challenge: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(challenge);
  } catch (cause) {
    throw new Error("Cannot continue SCRAM: the server's message is not UTF-8", { cause });
  }
}
