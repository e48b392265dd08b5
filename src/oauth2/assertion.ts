/**
 * Signed assertions (RFC 7523), by which a client or a service account proves who it is.
 *
 * @module
 */
import { modifyAssertion, PrivateKeyJwt } from "oauth4webapi";
import { decodePem, importPrivateKey } from "./private_key.ts";
import type { SigningAlgorithm } from "./private_key.ts";
import { TokenError } from "./token_error.ts";

/** What assertions are signed with. */
export interface AssertionKeyOptions {
  /** The private key: PEM (PKCS #8), or a key of WebCrypto for signing. */
  privateKey: string | CryptoKey;
  /** The key's name at the authorisation server, `kid`. Default: not said. */
  keyId?: string;
  /**
   * The certificate that goes with the key, PEM. Its thumbprints are said, as Microsoft wants it (`x5t`, `x5t#S256`).
   * Default: not said.
   */
  certificate?: string;
  /**
   * How to sign. Default: as the key of WebCrypto says; else `"ES256"` with a key on the curve P-256 and for RSA `"PS256"`
   * with a certificate, as Microsoft wants it, and `"RS256"` without.
   */
  algorithm?: SigningAlgorithm;
}

/** What an assertion says (RFC 7519, section 4.1). What is `undefined` is not said. */
export type Claims = Readonly<Record<string, string | number | undefined>>;

/** Signs what it is given. */
export type Signer = (claims: Claims) => Promise<string>;

/** The key, and what is said of it. */
interface Loaded {
  readonly key: CryptoKey;
  readonly header: Readonly<Record<string, string>>;
}

/**
 * Makes a signer.
 *
 * @param options The key.
 * @returns The signer. It imports the key when it is first used, and rejects with a `TokenError` if it is of no use.
 * @throws {TypeError} If the key or the certificate is not PEM.
 */
export function assertionSigner(options: AssertionKeyOptions): Signer {
  const { privateKey, keyId, certificate } = options;
  const key = typeof privateKey === "string"
    ? decodePem("private key", "PRIVATE KEY", privateKey)
    : privateKey;
  if (!(key instanceof Uint8Array) && !(key instanceof CryptoKey && key.usages.includes("sign"))) {
    throw new TypeError("Cannot sign assertions: privateKey must be PEM or a CryptoKey that signs");
  }
  const der = certificate === undefined ? undefined : decodePem("certificate", "CERTIFICATE", certificate);
  let loaded: Promise<Loaded> | undefined;
  return async (claims) => {
    loaded ??= load(key, der, keyId, options.algorithm);
    return await sign(await loaded, claims);
  };
}

async function load(
  key: CryptoKey | Uint8Array<ArrayBuffer>,
  certificate: Uint8Array<ArrayBuffer> | undefined,
  keyId: string | undefined,
  algorithm: SigningAlgorithm | undefined,
): Promise<Loaded> {
  return {
    key: key instanceof CryptoKey ? key : await importFor(key, certificate !== undefined, algorithm),
    header: {
      typ: "JWT",
      ...keyId !== undefined && { kid: keyId },
      ...certificate !== undefined && {
        x5t: await thumbprint("SHA-1", certificate),
        "x5t#S256": await thumbprint("SHA-256", certificate),
      },
    },
  };
}

async function importFor(
  der: Uint8Array<ArrayBuffer>,
  withCertificate: boolean,
  algorithm: SigningAlgorithm | undefined,
): Promise<CryptoKey> {
  const key = await importPrivateKey(der, algorithm);
  if (algorithm !== undefined || !withCertificate || key.algorithm.name === "ECDSA") return key;
  return await importPrivateKey(der, "PS256");
}

/** The library signs assertions for clients alone: it is told to sign ours, and what it would send is taken from it. */
async function sign({ key, header }: Loaded, claims: Claims): Promise<string> {
  const body = new URLSearchParams();
  const signer = PrivateKeyJwt(key, {
    [modifyAssertion](jwtHeader, payload) {
      Object.assign(jwtHeader, header);
      Object.assign(payload, { nbf: undefined }, claims);
    },
  });
  try {
    await signer({ issuer: "unused" }, { client_id: "unused" }, body, new Headers());
  } catch (cause) {
    throw new TokenError("key-unusable", "The private key cannot sign assertions", { cause });
  }
  return body.get("client_assertion")!;
}

async function thumbprint(hash: string, certificate: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest(hash, certificate));
  return btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
