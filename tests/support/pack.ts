/**
 * Makes the npm package, as a tarball: `deno task pack [--output FILE]`.
 *
 * `npm install FILE`, `bun add FILE` and `npm publish FILE` take it. Default: `.cache/package/NAME-VERSION.tgz`.
 * @module
 */
import { parseArgs } from "node:util";
import { buildPackage } from "./pack_build.ts";
import { pack } from "./pack_tar.ts";

const { values: flags } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: { output: { type: "string" } },
});

const { manifest, files } = await buildPackage();
const tarball = await pack(files);
const folder = ".cache/package";
const output = flags.output ??
  `${folder}/${manifest.name.slice(1).replace("/", "-")}-${manifest.version}.tgz`;
if (flags.output === undefined) await Deno.mkdir(folder, { recursive: true });
await Deno.writeFile(output, tarball);

const unpacked = [...files.values()].reduce((sum, text) => sum + text.length, 0);
const count = (extension: string) => [...files.keys()].filter((path) => path.endsWith(extension)).length;
console.log(`${output}: ${kilobytes(tarball.length)}, ${kilobytes(unpacked)} unpacked`);
console.log(`${files.size} files: ${count(".js")} modules, ${count(".d.ts")} declarations`);
console.log(`exports ${Object.keys(manifest.exports).join(" ")}`);
for (const [name, version] of Object.entries(manifest.dependencies)) console.log(`needs ${name}@${version}`);
for (const [name, version] of Object.entries(manifest.peerDependencies ?? {})) {
  console.log(`may need ${name}@${version}`);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
