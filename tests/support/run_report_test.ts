import { assertEquals } from "@std/assert";
import { test } from "./harness.ts";
import { parseReport } from "./run_report.ts";

test("parseReport() reads what Deno writes", () => {
  const report = `<testsuites name="deno test" tests="2">
    <testsuite name="./tests/a_test.ts" tests="2">
        <testcase name="1 &lt; 2 &amp; &quot;so on&quot;" classname="./tests/a_test.ts" time="0.001" line="2" col="6">
        </testcase>
        <testcase name="fails" classname="./tests/a_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: one&#10;two">Error: one</failure>
        </testcase>
    </testsuite></testsuites>`;
  assertEquals(parseReport(report), [
    { name: `1 < 2 & "so on"`, file: "./tests/a_test.ts", state: "passed", reason: undefined },
    { name: "fails", file: "./tests/a_test.ts", state: "failed", reason: "Uncaught Error: one" },
  ]);
});

test("parseReport() reads what Bun writes", () => {
  const report = `<testsuite name="tests/a_test.ts" file="tests/a_test.ts">
    <testcase name="fine" classname="" time="0.002" file="tests/a_test.ts" line="2" assertions="0" />
    <testcase name="not today [no server]" classname="" time="0" file="tests/a_test.ts" line="4" assertions="0">
      <skipped />
    </testcase></testsuite>`;
  assertEquals(parseReport(report), [
    { name: "fine", file: "tests/a_test.ts", state: "passed", reason: undefined },
    { name: "not today [no server]", file: "tests/a_test.ts", state: "skipped", reason: undefined },
  ]);
});

test("parseReport() reads what Node writes, with > as it is and quotes escaped twice", () => {
  const report = `<testsuites>
	<testcase name="a -> &amp;quot;b&amp;quot;" time="0.001" classname="test"/>
	<testcase name="c -> d" time="0.001" classname="test" failure="e -> f">
		<failure type="testCodeFailure" message="e -> f">
[Error: e -> f]
		</failure>
	</testcase></testsuites>`;
  assertEquals(parseReport(report), [
    { name: `a -> "b"`, file: undefined, state: "passed", reason: undefined },
    { name: "c -> d", file: undefined, state: "failed", reason: "e -> f" },
  ]);
});

test("parseReport() finds nothing where there is no report", () => {
  assertEquals(parseReport(""), []);
});
