/**
 * Lets Node run the tests and the examples as they are: `node --import ./tools/node_hooks.mjs FILE`.
 *
 * It resolves what `deno.json` says: the packages in `links` (`@std/assert`, ...) and this package's own name. npm
 * packages come from node_modules, which `deno install` fills.
 * @module
 */
import { readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";

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
    // Without a package.json Node would guess this from the source.
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
 * Node 22 strips types but does not know `using`. Tests and examples may still use it; the library may not,
 * because users of Node 22 run it.
 */
function withoutUsing(source) {
  typescript ??= createRequire(import.meta.url)("typescript");
  const { ESNext, ES2022 } = { ...typescript.ModuleKind, ...typescript.ScriptTarget };
  return typescript.transpileModule(source, { compilerOptions: { module: ESNext, target: ES2022 } })
    .outputText;
}
