import { assertEquals } from "@std/assert";
import { assignFiles, type Evidence, judge, parseReport, type TestCase } from "../../tools/report.ts";
import { test } from "../support/unwatched.ts";

const passing: TestCase = { name: "adds", file: "./tests/a_test.ts", state: "passed", reason: undefined };

function judged(evidence: Partial<Evidence>) {
  return judge({
    label: "Any",
    version: "1.0.0",
    seconds: 1,
    files: ["tests/a_test.ts"],
    filter: undefined,
    cases: [passing],
    broken: [],
    code: 0,
    timedOut: false,
    ...evidence,
  });
}

function failuresOf(evidence: Partial<Evidence>): string[] {
  return judged(evidence).failures;
}

test("judge() finds no fault where every file reports tests that pass", () => {
  assertEquals(failuresOf({}), []);
});

test("judge() counts tests by their state, and those that passed by their file", () => {
  const cases: TestCase[] = [
    passing,
    { ...passing, name: "divides", state: "failed", reason: "by zero" },
    { ...passing, name: "waits [no server]", state: "skipped" },
    { ...passing, name: "has an example", file: "./README.md#1-3.ts" },
  ];
  const { passed, files, failures, skipped } = judged({ cases, code: 1 });
  assertEquals([passed, [...files]], [2, [["tests/a_test.ts", 1]]]);
  assertEquals(failures, ["tests/a_test.ts: divides: by zero"]);
  assertEquals(skipped, ["waits [no server]"]);
});

test("judge() does not count as skipped what the filter left out", () => {
  const skipped: TestCase = { ...passing, state: "skipped" };
  const cases = [{ ...skipped, name: "adds" }, { ...skipped, name: "waits [no server]" }];
  assertEquals(judged({ filter: "wait", cases }).skipped, ["waits [no server]"]);
});

test("judge() takes a runtime that ends without a report for a failure", () => {
  assertEquals(failuresOf({ cases: [] }), ["it ended with 0 and reported no test"]);
});

test("judge() takes a runtime that was killed for a failure", () => {
  assertEquals(failuresOf({ code: 143, timedOut: true }), ["it did not end in time and was killed"]);
});

test("judge() takes an exit status that no test accounts for for a failure", () => {
  assertEquals(failuresOf({ code: 1 }), ["it ended with 1, yet no test failed"]);
});

test("judge() takes a file that reports no test for a failure", () => {
  const files = ["tests/a_test.ts", "tests/b_test.ts"];
  assertEquals(failuresOf({ files }), ["tests/b_test.ts: no test was reported"]);
  assertEquals(failuresOf({ files, filter: "adds" }), []);
});

test("judge() takes an error outside the tests for a failure", () => {
  assertEquals(failuresOf({ code: 1, broken: ["tests/a_test.ts"] }), [
    "tests/a_test.ts: an error outside its tests",
  ]);
});

test("assignFiles() finds the file of each test by how many each file has", () => {
  const names = ["a", "b", "c"];
  const cases = names.map((name) => ({ ...passing, name, file: "./tools/test_files.mjs" }));
  cases.splice(1, 0, { ...passing, name: "README.md#1-3.ts", file: "./README.md#1-3.ts" });
  const counts = [
    { file: "x_test.ts", count: 1 },
    { file: "empty_test.ts", count: 0 },
    { file: "y_test.ts", count: 2 },
  ];
  const expected = ["x_test.ts", "./README.md#1-3.ts", "y_test.ts", "y_test.ts"];
  assertEquals(assignFiles(cases, counts).map(({ file }) => file), expected);
  assertEquals(assignFiles(cases, counts.slice(1)), cases); // something crashed: nobody knows
});

test("parseReport() reads what Deno writes", () => {
  const report = `<testsuites name="deno test" tests="2">
    <testsuite name="./tools/test_files.mjs" tests="2">
        <testcase name="1 &lt; 2 &amp; &quot;so on&quot;" classname="./tools/test_files.mjs" time="0.001" line="2" col="6">
        </testcase>
        <testcase name="fails" classname="./tools/test_files.mjs" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: one&#10;two">Error: one</failure>
        </testcase>
    </testsuite></testsuites>`;
  assertEquals(parseReport(report), [
    { name: `1 < 2 & "so on"`, file: "./tools/test_files.mjs", state: "passed", reason: undefined },
    { name: "fails", file: "./tools/test_files.mjs", state: "failed", reason: "Uncaught Error: one" },
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
	<testsuite name="tests/a_test.ts" time="0.065468" tests="2">
	<testcase name="a -> &amp;quot;b&amp;quot;" time="0.001" classname="test" file="/tools/test_files.mjs"/>
	<testcase name="c -> d" time="0.001" classname="test" failure="e -> f">
		<failure type="testCodeFailure" message="e -> f">
[Error: e -> f]
		</failure>
	</testcase></testsuite></testsuites>`;
  assertEquals(parseReport(report), [
    { name: `a -> "b"`, file: "tests/a_test.ts", state: "passed", reason: undefined },
    { name: "c -> d", file: "tests/a_test.ts", state: "failed", reason: "e -> f" },
  ]);
});

test("parseReport() finds nothing where there is no report", () => {
  assertEquals(parseReport(""), []);
});
