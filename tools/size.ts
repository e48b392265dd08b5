/**
 * Prints what the client weighs beside nodemailer, bundled, minified and compressed: `deno task size [--details]`.
 *
 * The figure is everything that a send over STARTTLS with a login loads, in one file: the client, SASL with all
 * mechanisms, and the adapter of the runtime that it runs on, whether they are imported statically or late. Of the four
 * runtimes it is the one that loads the most. Left out are only the two packages that the library loads for CRAM-MD5 and
 * SASLprep.
 *
 * - `--details`: also how much of it each module is.
 * @module
 */
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { esbuild, PEERS, peers, temporaryFolder } from "./install.ts";
import { buildPackage, externals, installPackage, type Package } from "./package.ts";
import { readOutput } from "./process.ts";

/** The most that a send may load, in bytes, minified and gzipped. */
export const CLIENT_CEILING = 62_000;

/** The runtimes with an adapter of their own, `src/sockets/NAME/connect.ts`. */
const RUNTIMES = ["deno", "bun", "node", "workers"] as const;

/** A bundle: one file. */
export interface Bundle {
  code: string;
  /** How many bytes of it come from each module, such as `src/client/client.js`. */
  modules: ReadonlyMap<string, number>;
  /** How many bytes it has, gzipped. */
  gzip: number;
}

/** How to bundle. */
export interface BundleOptions {
  /** What it is to run on. Default: `"browser"`, which the bundlers of Workers take as well. */
  platform?: "browser" | "node";
  /** Packages and modules of runtimes that are left out, as esbuild's `--external` has them. */
  external: readonly string[];
}

/**
 * Bundles a module with everything that it imports, late imports included, as users' bundlers do.
 * @param code The module.
 * @param folder Where what it imports is installed.
 */
export async function bundle(
  code: string,
  folder: string,
  { platform = "browser", external }: BundleOptions,
): Promise<Bundle> {
  const work = await Deno.makeTempDir({ dir: folder });
  try {
    await Deno.writeTextFile(`${work}/entry.js`, code);
    const args = [
      "entry.js",
      "--bundle",
      "--minify",
      "--format=esm",
      "--target=es2022",
      `--platform=${platform}`,
      "--outfile=out.js",
      "--metafile=meta.json",
      "--log-level=error",
      ...external.map((name) => `--external:${name}`),
    ];
    await readOutput({ program: await esbuild(), args }, work);
    const { outputs } = JSON.parse(await Deno.readTextFile(`${work}/meta.json`));
    const inputs: Record<string, { bytesInOutput: number }> = outputs["out.js"].inputs;
    const bundled = await Deno.readTextFile(`${work}/out.js`);
    return {
      code: bundled,
      modules: new Map(
        Object.entries(inputs).map(([path, { bytesInOutput }]) =>
          [path.replace(/^.*node_modules\/@streams\/smtp\//, ""), bytesInOutput] as const
        ).filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a),
      ),
      gzip: gzipSync(bundled, { level: 9 }).length,
    };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/**
 * Bundles the client with everything that a send over STARTTLS with a login loads, on the runtime where that is the most.
 * @param made The package.
 */
export async function bundleClient(made: Package): Promise<Bundle> {
  await using folder = await temporaryFolder();
  await installPackage(made, folder.path);
  const code = `export { SmtpClient } from "${made.manifest.name}";`;
  const bundles = await Promise.all(RUNTIMES.map((runtime) => {
    const others = RUNTIMES.filter((other) => other !== runtime).map((other) => `*/${other}/connect.js`);
    return bundle(code, folder.path, { external: ["node:*", ...externals(made.manifest), ...others] });
  }));
  return bundles.reduce((most, one) => one.gzip > most.gzip ? one : most);
}

/** Lists the modules of a bundle, largest first. */
export function breakdown({ modules }: Bundle): string {
  return [...modules].map(([module, bytes]) => `${bytes}`.padStart(8) + `  ${module}`).join("\n");
}

if (import.meta.main) {
  const { values: flags } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: { details: { type: "boolean", default: false } },
  });
  const client = await bundleClient(await buildPackage());
  const nodemailer = await bundle(
    `import { createTransport } from "nodemailer"; globalThis.createTransport = createTransport;`,
    await peers(),
    { platform: "node", external: [] },
  );
  if (flags.details) console.log(`The client, minified, by module\n${breakdown(client)}\n`);
  console.log("What a send over STARTTLS with a login loads, in one file    minified        gzip");
  for (
    const [name, { code, gzip }] of [["@streams/smtp", client], [
      `nodemailer ${PEERS.nodemailer}`,
      nodemailer,
    ]] as const
  ) {
    const bytes = (count: number) => `${(count / 1000).toFixed(1)} KB`.padStart(12);
    console.log(`  ${name.padEnd(55)}${bytes(code.length)}${bytes(gzip)}`);
  }
}
