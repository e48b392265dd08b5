/** Fingerprints of certificates, anywhere. @module */

/** The SHA-256 of a certificate, 64 hexadecimal digits. */
export async function fingerprintOf({ cert }: { cert: string }): Promise<string> {
  const der = Uint8Array.from(atob(cert.replace(/-----.*-----|\s/g, "")), (char) => char.charCodeAt(0));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
