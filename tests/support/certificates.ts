/**
 * Throw-away certificates, made on request: a certificate authority and leaves signed by it.
 * @module
 */
// @peculiar/x509 needs this polyfill loaded first.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};
const SAN = "2.5.29.17";
const DAY = 24 * 60 * 60 * 1000;

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** What a leaf certificate is made for. */
export interface LeafOptions {
  /** DNS names and IP addresses. Default: `localhost`, `127.0.0.1`, `::1`. */
  names?: string[];
  /** The value of each extension with names, DER, in place of `names`. */
  san?: Uint8Array<ArrayBuffer>[];
  /** The common name; `""`: the certificate has no subject. Default: the first of the names. */
  commonName?: string;
  /** `"server"` or `"client"`. Default: `"server"`. */
  usage?: "server" | "client";
  /** When it stops being valid, in milliseconds from now; negative for an expired one. Default: a day. */
  expires?: number;
  /** What kind of key it has. Default: `"ECDSA"`, on P-256. */
  algorithm?: "ECDSA" | "RSA";
}

/** A certificate authority. */
export interface Authority {
  /** The authority's certificate, PEM: what a client puts into `caCerts`. */
  cert: string;
  /** Signs a leaf. `cert` ends with the certificates of the authorities between it and the root. */
  issue(options?: LeafOptions): Promise<KeyPair>;
  /**
   * Makes an authority below this one, which may sign for some names only (RFC 5280, section 4.2.1.10).
   * @param permitted The DNS names, each with all below it.
   */
  constrain(permitted: string[]): Promise<Authority>;
}

/** Makes a certificate authority that lives as long as the process does. */
export async function createAuthority(name = "Throw-away CA"): Promise<Authority> {
  const keys = await generateKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    ...await authorityOf(keys),
  });
  return authority(ca, keys, "");
}

function authority(ca: x509.X509Certificate, keys: CryptoKeyPair, chain: string): Authority {
  return {
    cert: ca.toString("pem"),
    async issue(options) {
      const { cert, key } = await issue(ca, keys, options);
      return { cert: `${cert}\n${chain}`, key };
    },
    async constrain(permitted) {
      const below = await generateKeys();
      const { extensions, ...rest } = await authorityOf(below);
      const cert = await x509.X509CertificateGenerator.create({
        subject: `CN=For ${permitted.join(", ")} only`,
        issuer: ca.subject,
        publicKey: below.publicKey,
        signingKey: keys.privateKey,
        ...rest,
        extensions: [...extensions, constraints(permitted)],
      });
      return authority(cert, below, `${cert.toString("pem")}\n${chain}`);
    },
  };
}

async function authorityOf({ publicKey }: CryptoKeyPair) {
  return {
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - 30 * DAY),
    notAfter: new Date(Date.now() + 30 * DAY),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  };
}

function constraints(permitted: string[]): x509.Extension {
  const subtrees = permitted.map((name) => der(0x30, der(0x82, new TextEncoder().encode(name))));
  return new x509.Extension("2.5.29.30", true, der(0x30, der(0xa0, ...subtrees)));
}

/** A value in DER, of at most 64 KiB. */
export function der(tag: number, ...contents: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = contents.reduce((sum, { length }) => sum + length, 0);
  const header = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return new Uint8Array([tag, ...header, ...contents.flatMap((content) => [...content])]);
}

/**
 * Makes a certificate that a server has signed itself and that calls itself an authority's, as `openssl req -x509` and Proton
 * Mail Bridge do.
 *
 * @param names DNS names and IP addresses; with none, it has only a common name, `localhost`.
 */
export async function createSelfSigned(
  names: readonly string[] = ["localhost", "127.0.0.1"],
): Promise<KeyPair> {
  const keys = await generateKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0] ?? "localhost"}`,
    keys,
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + DAY),
    extensions: [
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.BasicConstraintsExtension(true, undefined, true),
      ...names.length > 0 ? [namesOf(names)] : [],
    ],
  });
  return { cert: cert.toString("pem"), key: await exportKey(keys) };
}

/**
 * Makes a certificate that a server has signed itself and that is no authority's (CA:FALSE), with what its key signs all the same.
 *
 * @param names DNS names.
 * @param expires When it stops being valid, in milliseconds from now; negative for an expired one.
 */
export async function createOwn(names: readonly string[], expires = DAY): Promise<KeyPair & Authority> {
  const keys = await generateKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0]}, O=Own ${expires}`,
    keys,
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - 7 * DAY),
    notAfter: new Date(Date.now() + expires),
    extensions: [new x509.BasicConstraintsExtension(false), namesOf(names)],
  });
  return { ...authority(cert, keys, ""), key: await exportKey(keys) };
}

function namesOf(names: readonly string[]): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(
    names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? "ip" as const : "dns" as const, value })),
  );
}

async function exportKey({ privateKey }: CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
}

async function issue(
  ca: x509.X509Certificate,
  caKeys: CryptoKeyPair,
  options: LeafOptions = {},
): Promise<KeyPair> {
  const {
    names = ["localhost", "127.0.0.1", "::1"],
    usage = "server",
    expires = DAY,
    algorithm,
    san,
    commonName = names[0],
  } = options;
  const keys = await generateKeys(algorithm);
  const cert = await x509.X509CertificateGenerator.create({
    subject: commonName === "" ? "" : `CN=${commonName}`,
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - 7 * DAY),
    notAfter: new Date(Date.now() + expires),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...san?.map((value) => new x509.Extension(SAN, commonName === "", value)) ?? [namesOf(names)],
    ],
  });
  return { cert: cert.toString("pem"), key: await exportKey(keys) };
}

function generateKeys(algorithm: LeafOptions["algorithm"] = "ECDSA"): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm === "RSA" ? RSA : ALGORITHM, true, ["sign", "verify"]);
}

function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0]! &= 0x7f; // a positive number, RFC 5280 section 4.1.2.2
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
