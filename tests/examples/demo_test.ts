import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "../support/harness.ts";
import { runExample } from "../support/run_example.ts";

test("examples/demo.ts sends a message over STARTTLS with a login, shows it, and ends by itself", async () => {
  const { code, output } = await runExample("demo.ts");
  assertEquals(code, 0, output);
  for (
    const line of [
      "C: STARTTLS",
      "*  secured",
      "C: AUTH PLAIN ********",
      "*  authenticated: PLAIN",
      "S: 550 5.1.1 No such user here",
      "accepted  grace@server.example",
      "rejected  nobody@server.example: 550 5.1.1 No such user here",
      "queue id  DEMO-1",
      ".This line begins with a dot",
    ]
  ) assertStringIncludes(output, line);
  assert(!output.includes("correct horse"), output);
  assert(!output.includes(btoa("\0ada\0correct horse")), output);
});
