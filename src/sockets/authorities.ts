/**
 * The certificate authorities that TLS through `node:tls`, or in its manner, is to trust.
 *
 * @module
 */
import { builtin } from "./builtin.ts";

/**
 * The authorities to trust. `ca` replaces those of the system: to add to them, they have to be given as well. To read
 * them, Deno wants `--allow-sys=ca`.
 *
 * @param caCerts Those besides the system's, PEM.
 * @returns All of them; `undefined` where those of the system are enough.
 */
export function authorities(caCerts: readonly string[]): string[] | undefined {
  if (caCerts.length === 0) return undefined;
  const tls = builtin("node:tls");
  // From Node 22.15 on, with what NODE_EXTRA_CA_CERTS and --use-system-ca bring.
  const { getCACertificates } = tls as { getCACertificates?: (type: "default") => string[] };
  return [...getCACertificates?.("default") ?? tls.rootCertificates, ...caCerts];
}
