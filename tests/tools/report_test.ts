import { assertEquals } from "@std/assert";
import { type Evidence, judge, parseReport, type TestCase } from "../../tools/report.ts";
import { test } from "../support/harness.ts";

const passing: TestCase = { name: "adds", file: "./tests/a_test.ts", state: "passed", reason: undefined };

function failuresOf(evidence: Partial<Evidence>, namesFiles = true): string[] {
  return judge({ label: "Any", namesFiles }, {
    version: "1.0.0",
    seconds: 1,
    files: ["tests/a_test.ts"],
    filter: undefined,
    cases: [passing],
    result: { code: 0, timedOut: false, found: [] },
    ...evidence,
  }).failures;
}

test("judge() finds no fault where every file reports tests that pass", () => {
  assertEquals(failuresOf({}), []);
});

test("judge() counts tests by their state", () => {
  const cases: TestCase[] = [
    passing,
    { ...passing, name: "divides", state: "failed", reason: "by zero" },
    { ...passing, name: "waits [no server]", state: "skipped" },
  ];
  const result = { code: 1, timedOut: false, found: [] };
  const outcome = judge({ label: "Any", namesFiles: true }, {
    version: "1.0.0",
    seconds: 1,
    files: ["tests/a_test.ts"],
    filter: undefined,
    cases,
    result,
  });
  assertEquals([outcome.passed, outcome.failures, outcome.skipped], [
    1,
    ["tests/a_test.ts: divides: by zero"],
    ["waits [no server]"],
  ]);
});

test("judge() does not count as skipped what the filter left out", () => {
  const skipped: TestCase = { ...passing, state: "skipped" };
  const outcome = judge({ label: "Any", namesFiles: true }, {
    version: "1.0.0",
    seconds: 1,
    files: ["tests/a_test.ts"],
    filter: "wait",
    cases: [{ ...skipped, name: "adds" }, { ...skipped, name: "waits [no server]" }],
    result: { code: 0, timedOut: false, found: [] },
  });
  assertEquals(outcome.skipped, ["waits [no server]"]);
});

test("judge() takes a runtime that ends without a report for a failure", () => {
  const result = { code: 0, timedOut: false, found: [] };
  assertEquals(failuresOf({ cases: [], result }), ["it ended with 0 and reported no test"]);
});

test("judge() takes a runtime that was killed for a failure", () => {
  const result = { code: 143, timedOut: true, found: [] };
  assertEquals(failuresOf({ result }), ["it did not end in time and was killed"]);
});

test("judge() takes an exit status that no test accounts for for a failure", () => {
  const result = { code: 1, timedOut: false, found: [] };
  assertEquals(failuresOf({ result }), ["it ended with 1, yet no test failed"]);
});

test("judge() takes a file that reports no test for a failure", () => {
  const files = ["tests/a_test.ts", "tests/b_test.ts"];
  assertEquals(failuresOf({ files }), ["tests/b_test.ts: no test was reported"]);
  assertEquals(failuresOf({ files, filter: "adds" }), []);
});

test("judge() takes a file that Node counts as a test of its own for a failure", () => {
  const cases: TestCase[] = [{ ...passing, name: "tests/a_test.ts", file: undefined }];
  assertEquals(failuresOf({ cases }, false), ["tests/a_test.ts: no test was reported"]);
});

test("judge() takes an error outside the tests for a failure", () => {
  const result = { code: 1, timedOut: false, found: ["tests/a_test.ts"] };
  assertEquals(failuresOf({ result }), ["tests/a_test.ts: an error outside its tests"]);
});

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
