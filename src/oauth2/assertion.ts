/**
 * Signed assertions (RFC 7523), with which a client or a service account proves its identity.
 *
 * @module
 */
import { modifyAssertion, PrivateKeyJwt } from "oauth4webapi";
import { decodeBase64 } from "../sasl/base64.ts";
import { TokenError } from "./token_error.ts";

/** How an assertion is signed (RFC 7518, section 3.1). */
export type SigningAlgorithm = "RS256" | "PS256" | "ES256";

const ALGORITHMS: Readonly<Record<SigningAlgorithm, RsaHashedImportParams | EcKeyImportParams>> = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
};

/** The key that signs assertions. */
export interface AssertionKeyOptions {
  /** The private key: PEM (PKCS #8), or a WebCrypto key for signing. */
  privateKey: string | CryptoKey;
  /** The key's name at the authorisation server, `kid`. Default: none is sent. */
  keyId?: string;
  /**
   * The certificate that goes with the key, PEM. Assertions carry its thumbprints (`x5t`, `x5t#S256`), as Microsoft requires.
   * Default: none are sent.
   */
  certificate?: string;
  /**
   * The signature algorithm. Default: the one of the WebCrypto key; for PEM, `"ES256"` with a key on the curve P-256, and with
   * an RSA key `"PS256"` if there is a certificate, as Microsoft requires, else `"RS256"`.
   */
  algorithm?: SigningAlgorithm;
}

/** The claims of an assertion (RFC 7519, section 4.1). Those that are `undefined` are left out. */
export type Claims = Readonly<Record<string, string | number | undefined>>;

/** Makes a signed assertion from claims. */
export type Signer = (claims: Claims) => Promise<string>;

/** An imported key, and the header of the assertions that it signs. */
interface LoadedKey {
  readonly key: CryptoKey;
  readonly header: Readonly<Record<string, string>>;
}

/**
 * Makes a signer.
 *
 * @param options The key.
 * @returns The signer. It imports the key on first use, and rejects with a `TokenError` if the key cannot sign.
 * @throws {TypeError} If the key or the certificate is not PEM.
 */
export function assertionSigner(options: AssertionKeyOptions): Signer {
  const { privateKey, keyId, certificate } = options;
  const key = typeof privateKey === "string"
    ? decodePem("privateKey", "PRIVATE KEY", privateKey)
    : privateKey;
  if (!(key instanceof Uint8Array) && !(key instanceof CryptoKey && key.usages.includes("sign"))) {
    throw new TypeError("Cannot sign assertions: privateKey must be PEM or a CryptoKey for signing");
  }
  const der = certificate === undefined ? undefined : decodePem("certificate", "CERTIFICATE", certificate);
  let loaded: Promise<LoadedKey> | undefined;
  return async (claims) => {
    loaded ??= loadKey(key, der, keyId, options.algorithm);
    return await sign(await loaded, claims);
  };
}

async function loadKey(
  key: CryptoKey | Uint8Array<ArrayBuffer>,
  certificate: Uint8Array<ArrayBuffer> | undefined,
  keyId: string | undefined,
  algorithm: SigningAlgorithm | undefined,
): Promise<LoadedKey> {
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

/** The library only signs the assertions of clients. We replace its claims with ours, and take what it would have sent. */
async function sign({ key, header }: LoadedKey, claims: Claims): Promise<string> {
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
    throw new TokenError("key-unusable", "Could not sign an assertion with the private key", { cause });
  }
  return body.get("client_assertion")!;
}

async function thumbprint(hash: string, certificate: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest(hash, certificate));
  return btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Imports a private key.
 *
 * @param der The key (PKCS #8, DER).
 * @param algorithm The algorithm. Default: the one that fits the key, `"RS256"` for RSA.
 * @returns The key, which cannot be exported.
 * @throws {TokenError} `"key-unusable"` if the key does not fit the algorithm.
 */
async function importPrivateKey(
  der: Uint8Array<ArrayBuffer>,
  algorithm?: SigningAlgorithm,
): Promise<CryptoKey> {
  const candidates: readonly SigningAlgorithm[] = algorithm === undefined ? ["RS256", "ES256"] : [algorithm];
  for (const candidate of candidates) {
    try {
      return await crypto.subtle.importKey("pkcs8", der, ALGORITHMS[candidate], false, ["sign"]);
    } catch {
      // The next algorithm may fit. The runtime's error is dropped: it might describe the key.
    }
  }
  throw new TokenError("key-unusable", `The private key is not valid for ${candidates.join(" or ")}`);
}

/**
 * Decodes the first block with a label in a PEM text (RFC 7468).
 *
 * @param option The option, for the error, which does not show the text.
 * @param label The label: `"PRIVATE KEY"` or `"CERTIFICATE"`.
 * @param text The text. Line ends may be written as `\n`, as in environment variables.
 * @returns The bytes of the block.
 * @throws {TypeError} If there is no such block, or it is not base64.
 */
function decodePem(option: string, label: string, text: string): Uint8Array<ArrayBuffer> {
  const begin = `-----BEGIN ${label}-----`;
  const start = text.indexOf(begin);
  const end = start < 0 ? -1 : text.indexOf(`-----END ${label}-----`, start);
  if (end < 0) {
    throw new TypeError(`Cannot sign assertions: ${option} must be PEM with "${begin}"${hint(text)}`);
  }
  const lines = text.slice(start + begin.length, end).replaceAll("\\r", "").replaceAll("\\n", "");
  try {
    return new Uint8Array(decodeBase64(lines.replaceAll(/\s/g, "")));
  } catch {
    throw new TypeError(`Cannot sign assertions: ${option} must be PEM, its content is not base64`);
  }
}

function hint(text: string): string {
  return /BEGIN (?:RSA|EC|ENCRYPTED) PRIVATE KEY/.test(text)
    ? ': convert the key with "openssl pkcs8 -topk8 -nodes"'
    : "";
}
