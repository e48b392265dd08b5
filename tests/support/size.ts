/**
 * Prints what users load, bundled, minified and compressed: `deno task size [--details]`.
 *
 * - `--details`: also which modules the client is made of.
 * @module
 */
import { parseArgs } from "node:util";
import { PEERS, peers } from "./pack_tools.ts";
import {
  breakdown,
  bundle,
  CLIENT_ALONE,
  CLIENT_LIMIT,
  Project,
  weigh,
  type Weight,
} from "./size_bundles.ts";

const { values: flags } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: { details: { type: "boolean", default: false } },
});

/** What is loaded to open a socket, besides the part of the runtime. */
const SOCKETS = ["src/client/open_socket.js", "src/sockets/connect.js", "src/sockets/given.js"];

/** What the client loads when it is needed, by what for. Of others the table has the names. */
const LABELS: Readonly<Record<string, string>> = {
  "src/client/login.js": "a login (SASL)",
  "src/client/start_tls.js": "STARTTLS",
  "src/logger.js": "a logger",
  "src/client/open_socket.js": "a socket of one's own",
  "src/client/steps.js": "single commands, mail() ...",
  "src/client/asked.js": "parameters: DSN ...",
  "src/client/parts.js": "more than one transaction",
  "src/sockets/workers.js": "sockets on Workers",
  "src/sockets/deno.js": "sockets on Deno",
  "src/sockets/bun.js": "sockets on Bun",
  "src/sockets/node.js": "sockets on Node",
};

await using project = await Project.create();
const { manifest } = project;
const entryPoints = Object.keys(manifest.exports).filter((name) => name !== "." && !name.endsWith(".json"));

head("Loaded at once", "with all that is loaded later");
const client = await project.bundle(CLIENT_ALONE, { later: "outside" });
const alone = weigh(client.code);
await both("client alone: SmtpClient", CLIENT_ALONE);
await both("client with sendMail", `export { SmtpClient, sendMail } from "@streams/smtp";`);
await both("all of @streams/smtp", `export * from "@streams/smtp";`);
for (const name of entryPoints) await both(name, `export * from "${manifest.name}${name.slice(1)}";`);
console.log(
  "The second is one file, for browsers and Workers; where bundles are split it is the sum of the files.",
);

head("What the client loads later, where it is needed");
for (const module of [...new Set(client.outside)]) await later(module, [module]);
for (const name of ["workers", "deno", "bun", "node"]) {
  await later(`src/sockets/${name}.js`, [...SOCKETS, `src/sockets/${name}.js`]);
}
const elsewhere = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
console.log(`Not counted: ${elsewhere.join(", ")}; they are loaded where they are needed.`);

head("Others, with all that they need, for Node");
const folder = await peers();
for (const [name, version] of Object.entries(PEERS)) {
  const label = `${name} ${version}`;
  try {
    const { code } = await bundle(`import * as all from "${name}"; globalThis.all = all;`, folder, {
      later: "inside",
      platform: "node",
      external: ["cloudflare:*"],
    });
    row(label, weigh(code));
  } catch (error) {
    console.log(`  ${label.padEnd(28)}cannot be bundled: ${/ERROR\] (.*)/.exec(String(error))?.[1]}`);
  }
}

if (flags.details) console.log(`\nThe client alone, minified, by module\n${breakdown(client)}`);
const fits = alone.gzip <= CLIENT_LIMIT;
console.log(
  `\nThe client alone: ${alone.gzip} bytes, gzipped; ${CLIENT_LIMIT} are allowed: ${
    fits ? "ok" : "too large"
  }`,
);
Deno.exitCode = fits ? 0 : 1;

async function both(label: string, code: string): Promise<void> {
  const atOnce = await project.bundle(code, { later: "outside" });
  const whole = await project.bundle(code, { later: "inside" });
  row(label, weigh(atOnce.code), weigh(whole.code));
}

async function later(name: string, except: readonly string[]): Promise<void> {
  const { code } = await project.bundle(CLIENT_ALONE, { later: "outside", except });
  const { minified, gzip, brotli } = weigh(code);
  row(LABELS[name] ?? name.replace(/^src\/|\.js$/g, ""), {
    minified: minified - alone.minified,
    gzip: gzip - alone.gzip,
    brotli: brotli - alone.brotli,
  });
}

function head(...titles: string[]): void {
  console.log(`\n${" ".repeat(30)}${titles.map((title) => title.padStart(30).padEnd(32)).join("")}`);
  const names = ["minified", "gzip", "brotli"].map((name) => name.padStart(10)).join("");
  console.log(`${" ".repeat(30)}${titles.map(() => `${names}  `).join("")}`.trimEnd());
}

function row(label: string, ...weights: Weight[]): void {
  const numbers = weights.map(({ minified, gzip, brotli }) =>
    [minified, gzip, brotli].map((bytes) => bytes.toLocaleString("en").padStart(10)).join("") + "  "
  );
  console.log(`  ${label.padEnd(28)}${numbers.join("")}`.trimEnd());
}
