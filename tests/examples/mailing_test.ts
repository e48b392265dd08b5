import { assertEquals } from "@std/assert";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reply } from "../../src/core/reply.ts";
import { serve } from "../../src/server/mod.ts";
import { test } from "../support/harness.ts";
import { runExample } from "../support/run_example.ts";

test("examples/mailing.ts sends to each row, reports each, and goes on where it was interrupted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "smtp-mailing-"));
  const [rows, report] = [join(folder, "rows.csv"), join(folder, "report.csv")];
  const taken: string[] = [];
  await using server = serve({ hostname: "127.0.0.1" }, {
    rcpt({ address }) {
      if (address.startsWith("no")) throw new Reply(550, "No such user");
    },
    message: (_, { envelope }) => void taken.push(...envelope.to),
  });
  const { port } = await server.listening;
  const run = () =>
    runExample("mailing.ts", [
      "127.0.0.1",
      `${port}`,
      rows,
      report,
      "--from",
      "news@client.test",
      "--security",
      "none",
    ]);
  try {
    const names = Array.from({ length: 30 }, (_, i) => i % 10 === 9 ? `no${i}` : `you${i}`);
    await writeFile(rows, names.map((name) => `${name}@mx.test,${name}\n`).join(""));
    // You have interrupted it: these are done, and one was not sent.
    await writeFile(report, "you0@mx.test,sent,1,250\nyou1@mx.test,unknown,,\nyou2@mx.test,not-sent,,\n");
    assertEquals(await run(), { code: 0, output: "25 sent, 3 refused\n" });
    assertEquals(
      taken.sort(),
      names.slice(2).filter((name) => name.startsWith("you")).map((name) => `${name}@mx.test`).sort(),
    );
    const lines = (await readFile(report, "utf8")).trim().split("\n");
    assertEquals([
      lines.length,
      lines.includes("no9@mx.test,refused,,550"),
      lines.includes("you3@mx.test,sent,1,250"),
    ], [31, true, true]);
    assertEquals(await run(), { code: 0, output: "nothing to send\n" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
