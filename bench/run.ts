/**
 * Runs all benchmarks, one after the other: `deno task bench [--pairs 5] [--json FILE] …`. Each gets all of the options.
 *
 * @module
 */
const BENCHES = ["encoder", "loopback", "wan", "large", "pool", "start", "server", "memory"];

const failed: string[] = [];
for (const bench of BENCHES) {
  const script = new URL(`./${bench}_bench.ts`, import.meta.url).pathname;
  console.log(`\n# bench:${bench}`);
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", script, ...Deno.args] })
    .spawn()
    .status;
  if (!success) failed.push(bench);
}
if (failed.length > 0) {
  console.error(`Failed: ${failed.join(", ")}`);
  Deno.exit(1);
}
