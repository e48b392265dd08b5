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
  /** Signs a leaf. */
  issue(options?: LeafOptions): Promise<KeyPair>;
}

/** Makes a certificate authority that lives as long as the process does. */
export async function createAuthority(name = "Throw-away CA"): Promise<Authority> {
  const keys = await generateKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - 30 * DAY),
    notAfter: new Date(Date.now() + 30 * DAY),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    cert: ca.toString("pem"),
    issue: (options) => issue(ca, keys, options),
  };
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
  { names = ["localhost", "127.0.0.1", "::1"], usage = "server", expires = DAY, algorithm }: LeafOptions = {},
): Promise<KeyPair> {
  const keys = await generateKeys(algorithm);
  const cert = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0]}`,
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
      namesOf(names),
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
