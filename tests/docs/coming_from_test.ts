/** Whether the documents for those who come from elsewhere are complete, and each of their lines is shown by a test. */
import { assert, assertEquals } from "@std/assert";
import { readFile } from "node:fs/promises";
import { test } from "../support/harness.ts";

/** What a package has, by kind: tests/testdata/*.json, read from the package itself. */
type Inventory = Record<string, readonly string[]> & { package: string; version: string };

/** In which section of the document each kind of thing stands. */
const DOCUMENTS: Record<string, Record<string, string>> = {
  smtp_connection: {
    options: "Options",
    methods: "Methods",
    events: "Events",
    envelope: "Envelope",
    auth: "Login",
    customAuth: "A mechanism of one's own",
    info: "Result of `send()`",
    properties: "Properties",
    errorCodes: "Error codes",
    errorProperties: "Errors",
  },
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

/** The tables of a document, by the heading that they stand under. */
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

/** The names of a file's tests; those that are made in a loop as what they begin, continue and end with. */
function testNames(source: string): RegExp[] {
  const names = [
    ...source.matchAll(/\btest\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\]|\\.)*)')/g),
  ];
  return names.map(([, plain, template, single]) => {
    const parts = (plain ?? template ?? single!).split(/\$\{[^}]*\}/);
    return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`);
  });
}

for (const [name, sections] of Object.entries(DOCUMENTS)) {
  const path = `docs/coming-from-${name.replaceAll("_", "-")}.md`;
  const ownTests = `tests/docs/coming_from_${name}_test.ts`;
  const prefix = name.replaceAll("_", "-");

  test(`${path} has a line for everything that ${prefix} has`, async () => {
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

  test(`${path} names a test that exists in each of its lines`, async () => {
    for (const [section, rows] of tablesOf(await read(path))) {
      for (const { theirs, ours, shownBy } of rows) {
        assert(ours !== "", `${section}: nothing stands for ${theirs}`);
        const link = /^\[`(.+)`\]\(\.\.\/(.+)\)$/.exec(shownBy);
        const wanted = link?.[1] ?? `${prefix}: ${/^`(.+)`$/.exec(shownBy)?.[1]}`;
        const names = testNames(await read(link?.[2] ?? ownTests));
        assert(
          names.some((name) => name.test(wanted)),
          `${section}, ${theirs}: there is no test "${wanted}"`,
        );
      }
    }
  });

  test(`${path} needs every test of ${ownTests}`, async () => {
    const shown = [...tablesOf(await read(path)).values()].flat().map(({ shownBy }) => shownBy);
    const own = [...(await read(ownTests)).matchAll(/\btest\(\s*"([^"]+)"/g)].map(([, name]) => name!);
    const unused = own.filter((name) => !shown.includes(`\`${name.slice(prefix.length + 2)}\``));
    assertEquals(unused, []);
  });
}
