import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { builtin, isNativeBun } from "../../src/sockets/runtime.ts";
import { runtime, test } from "../support/harness.ts";

test("builtin() gives the runtime's own modules", () => {
  assertStrictEquals(builtin("node:net").connect, net.connect);
  assertStrictEquals(builtin("node:tls").connect, tls.connect);
  assertStrictEquals(typeof builtin("node:stream").Duplex, "function");
});

test("builtin() names the module that the runtime does not have", () => {
  const name = "node:none" as "node:net";
  assertThrows(() => builtin(name), TypeError, "This runtime has no node:none");
});

test("no file of src/sockets imports a runtime's module, except for its types", () => {
  const folder = new URL("../../src/sockets/", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts")
  );
  assert(files.length > 20, `${files.length} files`);
  const found = files.flatMap((file) => {
    const source = readFileSync(new URL(file, folder), "utf8");
    const imports = source.matchAll(/^(?:import|export)(?! type) .*from "(?:node|bun|cloudflare):.*$/gm);
    return [...imports, ...source.matchAll(/\bimport\("(?:node|bun|cloudflare):.*$/gm)].map(([line]) =>
      `${file}: ${line}`
    );
  });
  assertEquals(found, []);
});

test("isNativeBun() is false for Bun below 1.4, which checks no names", () => {
  for (const version of ["1.3.14", "1.0.0", "0.9.0", ""]) assertEquals(isNativeBun(version), false, version);
  for (const version of ["1.4.0", "1.4.5", "1.10.0", "2.0.0"]) {
    assertEquals(isNativeBun(version), true, version);
  }
  assertEquals(isNativeBun(), runtime === "bun");
});
