/**
 * Runs the examples of README and docs that `deno test --doc` leaves out, marked `ts ignore`, since they connect to
 * smtp.example.com: against a server of ours. Those that connect elsewhere are type-checked.
 */
import { assertEquals } from "@std/assert";
import { serve } from "../../src/server/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { runtime, test } from "../support/harness.ts";

/** What examples use without declaring it. */
const GIVEN = `
import type { Envelope, Message, SmtpClient } from "@streams/smtp";
declare global {
  const client: SmtpClient;
  const envelope: Envelope;
  const message: Message;
  const pem: string;
  const clientId: string;
  const clientSecret: string;
  const privateKey: string;
  const certificate: string;
}
`;

/** An example, and where it is. */
interface Example {
  readonly place: string;
  readonly code: string;
}

const ROOT = new URL("../../", import.meta.url);

/** The examples of a page that are marked `ts ignore`. */
function examplesOf(page: string, markdown: string): Example[] {
  return [...markdown.matchAll(/^```ts ignore\n([\s\S]*?)^```/gm)].map(({ 1: code, index }) => ({
    place: `${page}:${markdown.slice(0, index).split("\n").length + 1}`,
    code: code!,
  }));
}

async function readExamples(): Promise<Example[]> {
  const pages = ["README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", ROOT))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  const texts = await Promise.all(pages.map((page) => Deno.readTextFile(new URL(page, ROOT))));
  return pages.flatMap((page, index) => examplesOf(page, texts[index]!));
}

/** Runs Deno; what it prints where it fails. */
async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  return success ? "" : new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

test(
  "the examples of README and docs that connect to smtp.example.com run, and the others type-check",
  // The pages are for Deno's own `check --doc` and `test --doc`, and are the same for all.
  { skip: runtime === "deno" ? undefined : "examples are run by Deno", timeout: 120_000 },
  async () => {
    const examples = await readExamples();
    const { authority, good } = await certificates();
    await using server = serve({ tls: good, onError: () => {} }, {
      auth: ({ user, pass }) => user === "me" && pass === "secret",
    });
    const { port } = await server.listening;
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/given.ts`, GIVEN);
      const running: string[] = [];
      const checked: string[] = [];
      for (const [index, { place, code }] of examples.entries()) {
        const path = `${folder}/${index}.ts`;
        const runs = code.includes('hostname: "smtp.example.com"') && !code.includes("connectWebSocket");
        const given = runs ? runnable(code, port, authority.cert) : code;
        await Deno.writeTextFile(path, `// ${place}\nimport "./given.ts";\n${given}`);
        (runs ? running : checked).push(path);
      }
      const all = `${folder}/all.ts`;
      await Deno.writeTextFile(all, running.map((path) => `await import("${path}");\n`).join(""));
      assertEquals(await deno("check", "--quiet", "--config=deno.json", ...running, ...checked), "");
      assertEquals(await deno("run", "--quiet", "--allow-net", "--config=deno.json", all), "");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

/** An example with our server in the place of smtp.example.com, and with what it uses. */
function runnable(code: string, port: number, pem: string): string {
  const own = code.includes("caCerts") ? "" : `, tls: { caCerts: [${JSON.stringify(pem)}] }`;
  const names: Record<string, string> = {
    pem: JSON.stringify(pem),
    envelope: `{ from: "me@example.com", to: "you@example.org" }`,
    message: `"Subject: Hi\\r\\n\\r\\nHello"`,
  };
  const used = Object.keys(names).filter((name) => new RegExp(`\\b${name}\\b[^:]`).test(code));
  const given = used.map((name) => `const ${name} = ${names[name]};\n`).join("");
  return given + code
    .replaceAll(
      /hostname: "smtp\.example\.com"(, port: 25)?/g,
      (_, plain) => `hostname: "localhost", port: ${port}${plain === undefined ? own : ""}`,
    )
    .replace(
      'await fetch("https://example.com/message.eml")',
      'new Response("Subject: Hi\\r\\n\\r\\nHello")',
    );
}
