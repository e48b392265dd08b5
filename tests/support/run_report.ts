/**
 * Reads JUnit reports, as Deno, Bun and Node write them.
 * @module
 */

/** One test in a report. */
export interface TestCase {
  name: string;
  /** The file that it stands in, where the runtime says so. */
  file: string | undefined;
  state: "passed" | "failed" | "skipped";
  /** Why it failed, in one line. */
  reason: string | undefined;
}

// Node leaves ">" as it is in attributes, so the tag's end is found by its quotes.
const TEST_CASE = /<testcase((?:\s+[\w:.-]+="[^"]*")*)\s*(\/>|>([\s\S]*?)<\/testcase>)/g;
const ATTRIBUTE = /([\w:.-]+)="([^"]*)"/g;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/**
 * Reads a report.
 * @param xml The report; may be cut off where the runtime was.
 * @returns The tests that it names, in their order.
 */
export function parseReport(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (const [, start, , body = ""] of xml.matchAll(TEST_CASE)) {
    const attributes = parseAttributes(start!);
    const failure = body.match(/<(?:failure|error)((?:\s+[\w:.-]+="[^"]*")*)/);
    cases.push({
      name: attributes["name"] ?? "",
      // Deno says "classname", Bun and Node 24 "file"; Node 22 says neither.
      file: attributes["file"] ??
        (attributes["classname"]?.endsWith(".ts") ? attributes["classname"] : undefined),
      state: failure !== null ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed",
      reason: failure === null ? undefined : parseAttributes(failure[1]!)["message"]?.split("\n")[0],
    });
  }
  return cases;
}

function parseAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(ATTRIBUTE)) attributes[name!] = unescape(value!);
  return attributes;
}

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? whole;
  }).replaceAll("&quot;", '"'); // Node writes &amp;quot; for a quote
}
