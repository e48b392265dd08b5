/**
 * Node's test reporter for tools/test.ts: what fails, and what the tests print. The counts come from the JUnit report.
 * @module
 */
import { inspect } from "node:util";

/** @param {AsyncIterable<{ type: string, data: any }>} source What the test runner says. */
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type === "test:stdout" || type === "test:stderr") yield data.message;
    else if (type === "test:fail") {
      const error = data.details?.error;
      const cause = error?.code === "ERR_TEST_FAILURE" ? error.cause ?? error : error;
      yield `\n${data.name} (${data.file ?? ""}:${data.line ?? ""}) FAILED\n${inspect(cause)}\n`;
    }
  }
}
