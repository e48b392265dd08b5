import { assert, assertEquals } from "@std/assert";
import {
  bun,
  cacheFolder,
  installWorkers,
  nodes,
  npm,
  type Program,
  temporaryFolder,
} from "../../tools/install.ts";
import {
  buildPackage,
  externals,
  installPackage,
  type Package,
  type PackageJson,
  packageOf,
} from "../../tools/package.ts";
import { readOutput } from "../../tools/process.ts";
import { breakdown, bundle, bundleClient, CLIENT_CEILING } from "../../tools/size.ts";
import { pack } from "../../tools/tarball.ts";
import { runtime, test } from "../support/harness.ts";
import { checkTypes, importsOf, RESOLUTIONS } from "./declarations.ts";
import { type Arrival, LOGIN, type MailServer, startMailServer } from "./mail_server.ts";

/** How long making the package, and installing it where nothing is in a cache yet, may take. */
const TIMEOUT = 180_000;

/** Entry points that are programs: importing one runs it. */
const PROGRAMS = ["./cli"];

const consumer = new URL("consumer/", import.meta.url).pathname;

let made: Promise<Package> | undefined;

if (runtime !== "deno") {
  test("the npm package", { skip: "it is made, installed and tried from Deno" }, () => {});
} else {
  const [npmHere, bunHere, nodesHere] = await Promise.all([npm(), bun(), nodes()]);

  test("the package holds what its exports name, with all that is imported, and nothing else", {
    timeout: TIMEOUT,
  }, async () => {
    const { manifest, files } = await build();
    const { type, engines, exports } = manifest;
    assertEquals([type, Object.keys(engines)], ["module", ["node", "bun", "deno"]]);
    for (const conditions of Object.values(exports)) {
      const paths = typeof conditions === "string" ? [conditions] : Object.values(conditions);
      for (const path of paths) assert(files.has(path.slice(2)), path);
      if (typeof conditions === "object") assertEquals(Object.keys(conditions), ["types", "default"]);
    }
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    for (const [path, text] of files) {
      if (!/\.(js|d\.ts)$/.test(path)) {
        assert(["package.json", "README.md", "LICENSE", "CHANGELOG.md"].includes(path), path);
        continue;
      }
      for (const specifier of importsOf(text)) {
        if (specifier.startsWith(".")) {
          const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
          const found = path.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target;
          assert(specifier.endsWith(".js") && files.has(found), `${path} imports ${specifier}`);
        } else if (!specifier.startsWith("node:")) {
          assert(declared.includes(packageOf(specifier)), `${path} imports ${specifier}`);
        } else assert(!path.endsWith(".d.ts"), `${path} needs the types of ${specifier}`);
      }
    }
    for (const [path, text] of files) {
      if (path.endsWith(".d.ts")) assert(!/[:<|] ?any\b/.test(text.replace(/\/\*.*?\*\//gs, "")), path);
      assert(!text.includes(new URL("../../", import.meta.url).pathname), `${path} says where it was made`);
      assert(!/registry\.|file:\/\/|sourceMappingURL/.test(text), path);
    }
  });

  test("the package is the same every time it is made", { timeout: TIMEOUT }, async () => {
    const { files } = await build();
    const [one, two] = await Promise.all([pack(files), pack(files)]);
    assertEquals(one, two);
    await using folder = await temporaryFolder();
    await Deno.writeFile(`${folder.path}/package.tgz`, one);
    const list = await readOutput({ program: "tar", args: ["-tzf", "package.tgz"] }, folder.path);
    assertEquals(list.trim().split("\n"), [...files.keys()].map((path) => `package/${path}`));
  });

  const skipNpm = npmHere === undefined || nodesHere.length === 0
    ? "npm and Node 22.3 are not here"
    : undefined;
  test(
    `an empty project of Node's installs the package; JavaScript sends with it, and TypeScript knows its types`,
    { skip: skipNpm, timeout: TIMEOUT },
    async () => {
      await using project = await createProject();
      const { path, manifest } = project;
      const environment = {
        npm_config_cache: await cacheFolder("npm"),
        npm_config_prefer_offline: "true",
        npm_config_update_notifier: "false",
      };
      const install = (...names: string[]) =>
        readOutput({
          program: npmHere!.path,
          args: ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...names],
          env: environment,
        }, path);
      await install("./package.tgz");
      await using server = await startMailServer();
      for (const node of nodesHere) await sends(node, path, server);
      await install(...optional(manifest));
      for (const node of nodesHere) {
        await importsAll(node, path, manifest);
        const args = ["-p", `typeof require("${manifest.name}").SmtpClient`];
        const env = { NODE_NO_WARNINGS: "1" }; // 22 says that require() of a module is an experiment
        if (!node.name.includes(" 22.")) {
          assertEquals((await readOutput({ program: node.path, args, env }, path)).trim(), "function");
        }
      }
      const everything = Object.keys(manifest.exports).filter((name) => !name.endsWith(".json"))
        .map((name, i) => `export * as e${i} from "${manifest.name}${name.slice(1)}";\n`).join("");
      await Deno.writeTextFile(`${path}/everything.ts`, everything);
      for (const resolution of RESOLUTIONS) {
        assertEquals(checkTypes([`${path}/types.ts`, `${path}/everything.ts`], resolution), [], resolution);
      }
    },
  );

  test(
    "an empty project of Bun's installs the package, and JavaScript sends with it",
    { skip: bunHere === undefined ? "Bun is not here" : undefined, timeout: TIMEOUT },
    async () => {
      await using project = await createProject();
      const { path, manifest } = project;
      const env = { BUN_INSTALL_CACHE_DIR: await cacheFolder("bun") };
      const add = (...names: string[]) =>
        readOutput({ program: bunHere!.path, args: ["add", "--ignore-scripts", ...names], env }, path);
      await add("./package.tgz");
      await using server = await startMailServer();
      await sends(bunHere!, path, server);
      await add(...optional(manifest));
      await importsAll(bunHere!, path, manifest);
    },
  );

  test("a bundler leaves out what is not used, and nothing that does something when it is loaded", {
    timeout: TIMEOUT,
  }, async () => {
    await using project = await createProject({ unpack: true });
    const { manifest, path } = project;
    const options = { external: ["node:*", ...externals(manifest)] };
    for (const name of Object.keys(manifest.exports).filter((name) => !name.endsWith(".json"))) {
      const { modules } = await bundle(`import "${manifest.name}${name.slice(1)}";`, path, options);
      const kept = [...modules.keys()];
      const { sideEffects } = manifest;
      const entry = manifest.exports[name] as { default: string };
      if (sideEffects && sideEffects.includes(entry.default)) {
        assert(kept.includes(entry.default.slice(2)), name);
      } else assertEquals(kept, [], name);
    }
  });

  test(
    "what a send over STARTTLS with a login loads is no larger than its ceiling, and holds nothing for servers",
    { timeout: TIMEOUT },
    async () => {
      const client = await bundleClient(await build());
      assert(
        client.gzip <= CLIENT_CEILING,
        `It is ${client.gzip} bytes, ${CLIENT_CEILING} are allowed:\n${breakdown(client)}`,
      );
      const isForServers = (path: string) => /^src\/(?:server\/|core\/(?:session|command_parser))/.test(path);
      assertEquals([...client.modules.keys()].filter(isForServers), []);
    },
  );

  test(
    "bundled into one file for browsers, it loads and sends with no permission",
    { timeout: TIMEOUT },
    async () => {
      await using project = await createProject({ unpack: true });
      const code = await bundled("page.mjs", project.path);
      await Deno.writeTextFile(`${project.path}/page.mjs`, code);
      await Deno.writeTextFile(
        `${project.path}/main.mjs`,
        `import { send } from "./page.mjs"; console.log(await send());`,
      );
      const args = ["run", "--no-prompt", "--no-config", "--no-lock", "--cached-only", "main.mjs"];
      const output = await readOutput({ program: Deno.execPath(), args }, project.path);
      assertEquals(output.trim(), "Subject: From a page\n\nHello");
      for (const { path } of nodesHere) {
        assertEquals(
          (await readOutput({ program: path, args: ["main.mjs"] }, project.path)).trim(),
          output.trim(),
        );
      }
    },
  );

  test("bundled into one file for Workers, it sends in workerd", { timeout: TIMEOUT }, async () => {
    await using project = await createProject({ unpack: true });
    const { path } = project;
    await Deno.writeTextFile(`${path}/worker.mjs`, await bundled("worker.mjs", path));
    await using server = await startMailServer();
    await Deno.writeTextFile(`${path}/ca.pem`, server.ca);
    const order = { hostname: "localhost", port: server.port, security: "starttls", auth: LOGIN };
    const main = new URL("workerd_main.mjs", import.meta.url).pathname;
    const args = ["run", "-A", main, await installWorkers(), `${path}/worker.mjs`, JSON.stringify(order)];
    const env = { NODE_EXTRA_CA_CERTS: `${path}/ca.pem` };
    const answer = await readOutput({ program: Deno.execPath(), args, env }, path);
    assertEquals(JSON.parse(answer), { accepted: ["you@server.test"] }, answer);
    const text = "Subject: From a worker\r\n\r\nHello\r\n";
    const arrival = { from: "me@client.test", to: ["you@server.test"], text, user: LOGIN.user, secure: true };
    assertEquals(server.take(), [arrival]);
  });
}

/** Makes the package, once for all tests. */
function build(): Promise<Package> {
  return made ??= buildPackage();
}

/** Bundles a program and all that it imports into one file, except the packages that it depends on. */
async function bundled(name: string, folder: string): Promise<string> {
  const { manifest } = await build();
  const external = externals(manifest);
  const program = await Deno.readTextFile(`${consumer}${name}`);
  const { code } = await bundle(program, folder, { external });
  // It is self-contained: a runtime's own modules are requested late, in a way that bundlers do not see.
  assertEquals(importsOf(code).filter((specifier) => !external.includes(packageOf(specifier))), []);
  return code;
}

/** A project with only the package, not installed yet, and the programs of `consumer/`. */
async function createProject(
  { unpack = false } = {},
): Promise<{ path: string; manifest: PackageJson } & AsyncDisposable> {
  const { manifest, files } = await build();
  const folder = await temporaryFolder();
  const { path } = folder;
  await Deno.writeTextFile(`${path}/package.json`, JSON.stringify({ private: true, type: "module" }));
  await Deno.writeFile(`${path}/package.tgz`, await pack(files));
  for (const name of ["send.mjs", "import_all.mjs", "types.ts"]) {
    await Deno.copyFile(`${consumer}${name}`, `${path}/${name}`);
  }
  if (unpack) await installPackage(await build(), path);
  return { path, manifest, [Symbol.asyncDispose]: () => Promise.resolve(folder[Symbol.asyncDispose]()) };
}

/** Runs a program that sends two mails, and checks what has arrived. */
async function sends({ name, path }: Program, folder: string, server: MailServer): Promise<void> {
  const order = JSON.stringify({ port: server.port, caCerts: [server.ca], auth: LOGIN });
  const answer = await readOutput({ program: path, args: ["send.mjs", order] }, folder);
  assertEquals(JSON.parse(answer), {
    accepted: ["you@server.test"],
    rejected: [["nobody@server.test", 550]],
    queueId: "PACKED-1",
  }, name);
  const arrival = (subject: string): Arrival => ({
    from: "me@client.test",
    to: ["you@server.test"],
    text: `Subject: ${subject}\r\n\r\nHello\r\n`,
    user: LOGIN.user,
    secure: true,
  });
  assertEquals(server.take(), [arrival("One"), arrival("Two")], name);
}

/** Runs a program that imports every entry point. */
async function importsAll({ name, path }: Program, folder: string, manifest: PackageJson): Promise<void> {
  const specifiers = Object.keys(manifest.exports)
    .filter((entry) => !entry.endsWith(".json") && !PROGRAMS.includes(entry))
    .map((entry) => manifest.name + entry.slice(1));
  const counts: Record<string, number> = JSON.parse(
    await readOutput({ program: path, args: ["import_all.mjs", ...specifiers] }, folder),
  );
  assertEquals(Object.keys(counts), specifiers, name);
  for (const [specifier, count] of Object.entries(counts)) {
    assert(count > 0, `${specifier} exports nothing`);
  }
}

/** The packages that single entry points need, at the versions that the package asks for. */
function optional({ peerDependencies = {} }: PackageJson): string[] {
  return Object.entries(peerDependencies).map(([name, version]) => `${name}@${version}`);
}
