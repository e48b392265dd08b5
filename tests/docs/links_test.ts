/** Checks that every link between the pages leads somewhere, and that every test file they name exists. */
import { assertEquals } from "@std/assert";
import { readdir, readFile, stat } from "node:fs/promises";
import { test } from "../support/harness.ts";

const ROOT = new URL("../../", import.meta.url);

/** Where a test file may be that is named without its folder. */
const FOLDERS = ["tests/interop", "tests/client"];

const read = (path: string) => readFile(new URL(path, ROOT), "utf8");
const exists = (path: string) => stat(new URL(path, ROOT)).then(() => true, () => false);

/** Every page. */
async function pages(): Promise<string[]> {
  const docs = await readdir(new URL("docs/", ROOT));
  return [
    "README.md",
    "CHANGELOG.md",
    ...await exists("SECURITY.md") ? ["SECURITY.md"] : [],
    ...docs.filter((name) => name.endsWith(".md")).map((n) => `docs/${n}`),
  ];
}

/** A page without its code blocks. */
const prose = (markdown: string) => markdown.replaceAll(/^```[\s\S]*?^```/gm, "");

/** The anchors of a page's headings, as GitHub and JSR make them. */
function anchors(markdown: string): string[] {
  return [...prose(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\s-]/gu, "").replaceAll(" ", "-")
  );
}

test("every link of README, CHANGELOG, SECURITY and docs leads to a file and a heading that exist", async () => {
  const broken: string[] = [];
  for (const page of await pages()) {
    for (const [, target] of prose(await read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [path, anchor] = target!.split("#");
      const file = path === ""
        ? page
        : decodeURI(new URL(path!, new URL(page, ROOT)).href.slice(ROOT.href.length));
      const found = await exists(file) &&
        (anchor === undefined || anchors(await read(file)).includes(anchor));
      if (!found) broken.push(`${page}: ${target}`);
    }
  }
  assertEquals(broken, []);
});

test("every test file that README and docs name exists", async () => {
  const missing: string[] = [];
  for (const page of await pages()) {
    for (const [, name] of prose(await read(page)).matchAll(/`([\w/]+_test\.ts)`/g)) {
      const places = name!.includes("/") ? [name!] : FOLDERS.map((folder) => `${folder}/${name}`);
      const found = await Promise.all(places.map(exists));
      if (!found.includes(true)) missing.push(`${page}: ${name}`);
    }
  }
  assertEquals(missing, []);
});
