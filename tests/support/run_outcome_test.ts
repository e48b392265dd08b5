import { assertEquals } from "@std/assert";
import { test } from "./harness.ts";
import { type Evidence, judge } from "./run_outcome.ts";
import type { TestCase } from "./run_report.ts";

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
