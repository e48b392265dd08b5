/**
 * What Node needs to run the tests as they are: `node --import ./tools/node_hooks.mjs --test`.
 *
 * It resolves what `deno.json` says: the packages in `links` (`@std/assert`, ...) and this package's own name. npm
 * packages come from node_modules, which `deno install` fills.
 * @module
 */
import { readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { after } from "node:test";

const root = new URL("../", import.meta.url);

const library = [new URL("src/", root).href, new URL("mod.ts", root).href];
const USING = /\busing\s+\w+\s*=/;
const knowsUsing = parses("{ using _ = null; }");
let typescript;

/** @type {Map<string, string>} Specifier -> URL. */
const modules = new Map();

function addPackage(folder) {
  const { name, exports, links = [] } = JSON.parse(readFileSync(new URL("deno.json", folder), "utf8"));
  for (const [path, file] of Object.entries(typeof exports === "string" ? { ".": exports } : exports)) {
    modules.set(name + path.slice(1), new URL(file, folder).href);
  }
  for (const link of links) addPackage(new URL(`${link}/`, folder));
}

function parses(code) {
  try {
    return new Function(code) !== undefined;
  } catch {
    return false;
  }
}

addPackage(root);

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(modules.get(specifier) ?? specifier, context);
    // Said here, Node need not guess it from the source for want of a package.json.
    return resolved.url.startsWith(root.href) && resolved.url.endsWith(".ts") &&
        !resolved.url.includes("/node_modules/")
      ? { ...resolved, format: "module-typescript" }
      : resolved;
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (knowsUsing || loaded.format !== "module-typescript" || library.some((path) => url.startsWith(path))) {
      return loaded;
    }
    const source = String(loaded.source ?? readFileSync(new URL(url), "utf8"));
    return USING.test(source) ? { ...loaded, format: "module", source: withoutUsing(source) } : loaded;
  },
});

/**
 * Node 22 strips types but does not know `using`. Tests and examples may use it all the same; the library may not,
 * because that is what users of Node 22 run.
 */
function withoutUsing(source) {
  typescript ??= createRequire(import.meta.url)("typescript");
  const { ESNext, ES2022 } = { ...typescript.ModuleKind, ...typescript.ScriptTarget };
  return typescript.transpileModule(source, { compilerOptions: { module: ESNext, target: ES2022 } })
    .outputText;
}

// Node waits for ever for a test file that left a socket, timer or process behind. Where the tests are over and the
// process does not end, say what holds it, and fail.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    setTimeout(() => {
      console.error(`Left behind when the tests were over: ${process.getActiveResourcesInfo().join(", ")}`);
      process.exit(1);
    }, 5_000).unref();
  });
}
