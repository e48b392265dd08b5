/**
 * Checks that each promise of SECURITY.md names the tests that keep it, and that these tests exist.
 *
 * A promise is a list item in the first column under `## Promises`. A test is named by a link to its file, a colon, and the exact
 * names as code, separated by commas:
 *
 * ```md
 * - **A certificate for another name is refused.** …
 *   - [`tests/sockets/names_test.ts`](tests/sockets/names_test.ts): `its name`, `the name of another`
 * ```
 *
 * A name counts if the file declares it when it is loaded under Deno: so those made from tables are known to the letter. For a test
 * that only another runtime has, it must stand as a literal in the file.
 */
import { assertEquals } from "@std/assert";
import { readFile } from "node:fs/promises";
import { runtime, test } from "../support/harness.ts";

const ROOT = new URL("../../", import.meta.url);

/** A test that the page names. */
interface Named {
  readonly file: string;
  readonly name: string;
}

/** What the page says, and what is wrong about it. */
interface Page {
  readonly named: readonly Named[];
  readonly faults: readonly string[];
}

const FILE = /tests\/[\w/]+_test\.ts/;
const LINK = new RegExp(`\\[\`(${FILE.source})\`\\]\\((${FILE.source})\\)`, "g");
/** A name as code: between backticks, or between several if it holds one. */
const CODE = /^[,:]\s*(`+)(?!`)([\s\S]*?[^`])\1(?!`)/;

/** Reads the tests that a page names, and finds promises without one. */
function read(markdown: string): Page {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, "");
  const faults: string[] = [];
  const named = namesIn(prose, faults);
  const left = prose.replaceAll(LINK, "").match(new RegExp(FILE, "g")) ?? [];
  for (const file of left) faults.push(`${file} is named without a link`);
  const promises = (prose.split(/^## Promises$/m)[1] ?? "").split(/^## /m, 1)[0]!.split(/^(?=- )|^(?=###? )/m)
    .filter((text) => text.startsWith("- "));
  if (promises.length === 0) faults.push("There are no promises");
  for (const promise of promises) {
    if (namesIn(promise, []).length === 0) {
      faults.push(`This promise names no test: ${promise.split("\n", 1)[0]}`);
    }
  }
  return { named, faults };
}

function namesIn(text: string, faults: string[]): Named[] {
  const named: Named[] = [];
  for (const { 0: link, 1: file, 2: target, index } of text.matchAll(LINK)) {
    if (file !== target) faults.push(`The link ${link} leads elsewhere`);
    let rest = text.slice(index + link.length);
    const before = named.length;
    for (let code; (code = CODE.exec(rest)) !== null && (rest[0] === ":") === (named.length === before);) {
      named.push({ file: file!, name: code[1] === "`" ? code[2]! : code[2]!.trim() });
      rest = rest.slice(code[0].length);
    }
    if (named.length === before) faults.push(`${file} is named without the name of a test`);
  }
  return named;
}

/** Those of the named tests that do not exist. */
async function missing(named: readonly Named[]): Promise<string[]> {
  const files = [...new Set(named.map(({ file }) => file))];
  const sources = new Map<string, string>();
  for (const file of files) sources.set(file, await readFile(new URL(file, ROOT), "utf8").catch(() => ""));
  const declared = await declaredIn(files.filter((file) => sources.get(file) !== ""));
  return named.filter(({ file, name }) =>
    !(declared[file] ?? []).some((other) => other === name || other.startsWith(`${name} [`)) &&
    !literals(sources.get(file)!).includes(JSON.stringify(name))
  ).map(({ file, name }) => `${file}: ${name}`);
}

/** The texts that calls begin with, in their quotes: the names of tests that this runtime does not have are among them. */
function literals(source: string): string[] {
  return [...source.matchAll(/\(\s*("(?:[^"\\\n]|\\.)*"),/g)].map(([, text]) => text!);
}

async function declaredIn(files: readonly string[]): Promise<Record<string, string[]>> {
  if (files.length === 0) return {};
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "tools/test_names.mjs", ...files],
    cwd: ROOT,
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(text.trimEnd().split("\n").at(-1)!);
}

const skip = runtime === "deno" ? undefined : "Deno lists the tests";

test("every promise of SECURITY.md names tests that exist", { skip, timeout: 120_000 }, async () => {
  const page = await readFile(new URL("SECURITY.md", ROOT), "utf8").catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  // Until it is written. From then on it has to name tests.
  if (page === undefined) return console.log("There is no SECURITY.md yet");
  const { named, faults } = read(page);
  assertEquals([...faults, ...await missing(named)], []);
});

const HERE = "tests/docs/security_test.ts";
const link = (file: string) => `[\`${file}\`](${file})`;

test("a promise is read with the tests that it names", () => {
  const { named, faults } = read(`
# Security

## Promises

### Names
- **One.** It is so.
  - ${link(HERE)}: \`one\`,
    \`two, and more\`, \`\` \`three\` \`\`
- **Two.** And so: ${link(HERE)}: \`four\`.

## Reports
- Write to us.
`);
  assertEquals(faults, []);
  assertEquals(named.map(({ name }) => name), ["one", "two, and more", "`three`", "four"]);
});

for (
  const [what, markdown, fault] of [
    ["a page without promises", "# Security\n", "There are no promises"],
    [
      "a promise without a test",
      `## Promises\n- **One.** ${link(HERE)}: \`x\`\n- **Two.** Trust us.\n`,
      "This promise names no test: - **Two.** Trust us.",
    ],
    [
      "a file without the name of a test",
      `${link(HERE)} keeps it.\n## Promises\n- ${link(HERE)}: \`x\`\n`,
      `${HERE} is named without the name of a test`,
    ],
    [
      "a file without a link",
      `See ${HERE}.\n## Promises\n- ${link(HERE)}: \`x\`\n`,
      `${HERE} is named without a link`,
    ],
    [
      "a link to another file",
      `## Promises\n- [\`${HERE}\`](tests/docs/links_test.ts): \`x\`\n`,
      `The link [\`${HERE}\`](tests/docs/links_test.ts) leads elsewhere`,
    ],
  ] as const
) {
  test(`SECURITY.md must not have ${what}`, () => assertEquals(read(markdown).faults, [fault]));
}

test("a test that SECURITY.md names must exist to the letter", { skip, timeout: 120_000 }, async () => {
  const named = [
    [HERE, "a promise is read with the tests that it names"],
    [HERE, "SECURITY.md must not have a promise without a test"], // from a table
    [HERE, "every promise of SECURITY.md names tests"],
    ["tests/docs/none_test.ts", "anything"],
    ["tests/workers/workers_test.ts", "a refused recipient and a refused login are reported"], // a literal
    ["tests/workers/workers_test.ts", "a refused recipient"],
  ].map(([file, name]) => ({ file: file!, name: name! }));
  assertEquals(await missing(named), [
    `${HERE}: every promise of SECURITY.md names tests`,
    "tests/docs/none_test.ts: anything",
    "tests/workers/workers_test.ts: a refused recipient",
  ]);
});
