import { assert, assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "../support/harness.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

test("Each example can be copied: it imports the package by its name, and files beside it", () => {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.(?:ts|js)$/.test(file)
  );
  const imports = files.flatMap((file) =>
    [...readFileSync(new URL(file, EXAMPLES), "utf8").matchAll(/(?:from|import) "([^"]+)"/g)].map((match) =>
      match[1]!
    )
  );
  assertEquals(imports.filter((specifier) => specifier.includes("../")), []);
  assert(imports.filter((specifier) => specifier.startsWith("@streams/smtp")).length >= 5, String(imports));
});
