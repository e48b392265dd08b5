/**
 * Node's test reporter for tools/test.ts: prints failures. The counts come from the JUnit report.
 * @module
 */
import { inspect } from "node:util";

/** @param {AsyncIterable<{ type: string, data: any }>} source What the test runner says. */
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type === "test:stdout" || type === "test:stderr") yield data.message;
    // The final counts are diagnostics, too; errors outside the tests begin with these words.
    else if (type === "test:diagnostic" && /^(?:Error|Warning): /.test(data.message)) {
      yield `\n${data.message}\n`;
    } else if (type === "test:fail") {
      const error = data.details?.error;
      if (error?.failureType === "subtestsFailed") continue; // each has been printed
      const cause = error?.code === "ERR_TEST_FAILURE" ? error.cause ?? error : error;
      // A suite is a file: see tools/test_files.mjs.
      const where = data.details?.type === "suite" ? "(outside its tests)" : "FAILED";
      yield `\n${data.name} ${where}\n${inspect(cause)}\n`;
    }
  }
}
