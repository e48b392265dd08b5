/**
 * Names as SCRAM and the GS2 header write them (RFC 5801, section 4; RFC 5802, section 5.1).
 *
 * @module
 */

/**
 * Escapes what separates names from the rest.
 *
 * @param name The name.
 * @returns The name with `=3D` for `=` and `=2C` for `,`.
 */
export function escapeSaslName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}
