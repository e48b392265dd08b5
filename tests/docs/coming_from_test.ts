/** Checks that the pages for those coming from another library are complete, and that each row names a test that exists. */
import { assert, assertEquals } from "@std/assert";
import { readFile } from "node:fs/promises";
import { test } from "../support/harness.ts";

/** What a package offers, by kind: tests/testdata/*.json, read from the package itself. */
type Inventory = Record<string, readonly string[]> & { package: string; version: string };

/** The section of the page for each kind of thing. */
const PAGES: Record<string, Record<string, string>> = {
  smtp_connection: {
    options: "Options",
    methods: "Methods",
    events: "Events",
    envelope: "Envelope",
    auth: "Login",
    customAuth: "A custom mechanism",
    info: "Result of `send()`",
    properties: "Properties",
    errorCodes: "Error codes",
    errorProperties: "Errors",
  },
  smtp_pool: { options: "Options", methods: "Methods", events: "Events", properties: "Properties" },
  smtp_channel: { options: "Options", methods: "Methods", arguments: "Arguments", events: "Events" },
  emailjs_smtp_client: {
    options: "Options",
    methods: "Methods",
    events: "Events",
    envelope: "Envelope",
    properties: "Properties",
    exports: "Exports",
  },
  smtp_protocol: {
    exports: "Exports",
    connectOptions: "Options of `connect()`",
    clientMethods: "Methods of the client",
    clientEvents: "Events of the client",
    clientProperties: "Properties of the client",
    callbacks: "Callbacks of the client",
    serverOptions: "Options of `createServer()`",
    serverEvents: "Events of the server",
    serverProperties: "Properties of a request",
    serverAnswers: "Answers of the server",
  },
};

interface Row {
  theirs: string;
  ours: string;
  shownBy: string;
}

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

/** The tables of a page, by their heading. */
function tablesOf(markdown: string): Map<string, Row[]> {
  const tables = new Map<string, Row[]>();
  let section = "";
  for (const line of markdown.split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3);
    if (!line.startsWith("|")) continue;
    const [theirs = "", ours = "", shownBy = ""] = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (theirs === "theirs" || /^-+$/.test(theirs)) continue;
    const rows = tables.get(section) ?? [];
    tables.set(section, [...rows, { theirs: theirs.replaceAll("`", ""), ours, shownBy }]);
  }
  return tables;
}

/** The names of a file's tests. A name made in a loop matches whatever the loop puts in. */
function testNames(source: string): RegExp[] {
  const calls = source.matchAll(
    /\b(test|conversation|unconnected|poolTest|hostsTest)\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\]|\\.)*)')/g,
  );
  return [...calls].map(([, , plain, template, single]) => {
    const parts = (plain ?? template ?? single!).split(/\$\{[^}]*\}/);
    return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`);
  });
}

/** The test that a row links to: its name and its file. */
function linkOf({ shownBy }: Row): [name: string, file: string] {
  const [, name = "", file = ""] = /^\[`(.+)`\]\(\.\.\/(.+)\)$/.exec(shownBy) ?? [];
  return [name, file];
}

/** The page of a package. */
const pageOf = (name: string) => `docs/coming-from-${name.replaceAll("_", "-")}.md`;

for (const [name, sections] of Object.entries(PAGES)) {
  const path = pageOf(name);

  test(`${path} has a row for everything that ${name.replaceAll("_", "-")} has`, async () => {
    const inventory: Inventory = JSON.parse(await read(`tests/testdata/${name}.json`));
    const tables = tablesOf(await read(path));
    assertEquals([...tables.keys()].sort(), Object.values(sections).sort());
    for (const [kind, section] of Object.entries(sections)) {
      const theirs = tables.get(section)!.map((row) => row.theirs);
      assertEquals([...theirs].sort(), [...inventory[kind]!].sort(), section);
      assertEquals(new Set(theirs).size, theirs.length, section);
    }
    const kinds = Object.keys(inventory).filter((kind) => kind !== "package" && kind !== "version");
    assertEquals(Object.keys(sections).sort(), kinds.sort());
    assert(
      (await read(path)).includes(inventory.version.split(".").slice(0, 2).join(".")),
      "The version is missing",
    );
  });

  test(`${path} links each row to a test that exists`, async () => {
    const problems: string[] = [];
    for (const [section, rows] of tablesOf(await read(path))) {
      for (const row of rows) {
        assert(row.ours !== "", `${section}: nothing replaces ${row.theirs}`);
        const [wanted, file] = linkOf(row);
        const source = file === "" ? "" : await read(file).catch(() => "");
        if (testNames(source).some((name) => name.test(wanted))) continue;
        problems.push(`${section}, ${row.theirs}: ${file || row.shownBy} has no test "${wanted}"`);
      }
    }
    assertEquals(problems, []);
  });
}

test("every test of migration_test.ts is needed by a page", async () => {
  const linked = new Set<string>();
  for (const name of Object.keys(PAGES)) {
    const rows = [...tablesOf(await read(pageOf(name))).values()].flat();
    for (const [test, file] of rows.map(linkOf)) {
      if (file === "tests/docs/migration_test.ts") linked.add(test);
    }
  }
  const own = [...(await read("tests/docs/migration_test.ts")).matchAll(/\btest\(\s*"([^"]+)"/g)];
  assertEquals(own.map(([, name]) => name!).filter((name) => !linked.has(name)), []);
});
