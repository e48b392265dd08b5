import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { builtin } from "../../src/sockets/builtin.ts";
import { test } from "../support/harness.ts";

test("builtin() gives the runtime's own modules", () => {
  assertStrictEquals(builtin("node:net").connect, net.connect);
  assertStrictEquals(builtin("node:tls").connect, tls.connect);
  assertStrictEquals(typeof builtin("node:stream").Duplex, "function");
});

test("builtin() says which module the runtime does not have", () => {
  const name = "node:none" as "node:net";
  assertThrows(() => builtin(name), TypeError, "This runtime has no node:none");
});

test("no module of the sockets imports a runtime's module, but for its types", () => {
  const folder = new URL("../../src/sockets/", import.meta.url);
  const found = readdirSync(folder).flatMap((file) => {
    const source = readFileSync(new URL(file, folder), "utf8");
    const imports = source.matchAll(/^(?:import|export)(?! type) .*from "(?:node|bun|cloudflare):.*$/gm);
    return [...imports, ...source.matchAll(/\bimport\("(?:node|bun|cloudflare):.*$/gm)].map(([line]) =>
      `${file}: ${line}`
    );
  });
  assertEquals(found, []);
});
