/** Checks that the README claims no figure of speed that bench/RESULTS.md does not have. */
import { assert, assertEquals } from "@std/assert";
import { readFile } from "node:fs/promises";
import { test } from "../support/harness.ts";

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

/** The numbers of a text, as they are written. */
const numbersOf = (text: string) => text.match(/\d+(?:,\d{3})*(?:\.\d+)?/g) ?? [];

test("every figure of the README's table of speed stands in bench/RESULTS.md", async () => {
  const readme = await read("README.md");
  const measured = numbersOf(await read("bench/RESULTS.md")).map((text) => Number(text.replaceAll(",", "")));
  const rows = readme.slice(readme.indexOf("## Speed")).split("\n## ", 1)[0]!.split("\n").filter((line) =>
    line.startsWith("|")
  );
  const figures = rows.slice(2).flatMap((row) => row.split("|").slice(2, 4).flatMap(numbersOf));
  assert(figures.length >= 8, "There is no table");
  const missing = figures.filter((figure) => {
    const digits = figure.split(".")[1]?.length ?? 0;
    return !measured.some((value) => value.toFixed(digits) === figure.replaceAll(",", ""));
  });
  assertEquals(missing, []);
});

test("the README's table of speed has the first mail and the next, once they are measured", async () => {
  const speed = (await read("README.md")).split("## Speed")[1]!.split("\n## ", 1)[0]!;
  const isMeasured = (await read("bench/RESULTS.md")).includes("\n## latency\n");
  for (const row of ["| first mail", "| next mail"]) assertEquals(speed.includes(row), isMeasured, row);
});

test("every command of the README's table of speed is a task", async () => {
  const speed = (await read("README.md")).split("## Speed")[1]!.split("\n## ", 1)[0]!;
  const { tasks } = JSON.parse(await read("deno.json")) as { tasks: Record<string, unknown> };
  const commands = [...speed.matchAll(/`deno task ([\w:]+)/g)].map(([, task]) => task!);
  assert(commands.length >= 4);
  assertEquals(commands.filter((task) => !(task in tasks)), []);
});
