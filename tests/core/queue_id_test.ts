import { assertEquals } from "@std/assert";
import { findQueueId } from "../../src/core/queue_id.ts";
import { test } from "../support/harness.ts";

for (
  const [server, text, id] of [
    ["Postfix", "Ok: queued as 4XyZ1234", "4XyZ1234"],
    ["Postfix with long ids", "Ok: queued as 4Z8xQk5nVRz9sT1", "4Z8xQk5nVRz9sT1"],
    ["Exim", "OK id=1rAbCd-0000Ab-1C", "1rAbCd-0000Ab-1C"],
    ["smtp-server", "OK: message queued as 0123abc", "0123abc"],
    ["a server in capitals", "OK QUEUED AS ABC", "ABC"],
    ["a server with brackets behind it", "queued as ABC) done", "ABC"],
    ["a Message-ID", "Message-ID:a@b.test", "a@b.test"],
    ["several lines", "first\nqueued as ABC\nlast", "ABC"],
  ] as const
) {
  test(`findQueueId() finds the id of ${server}`, () => assertEquals(findQueueId(text), id));
}

for (const text of ["", "Ok", "queued as ", "queued as (none)", "id= 5", "queued asX"]) {
  test(`findQueueId() finds nothing in ${JSON.stringify(text)}`, () =>
    assertEquals(findQueueId(text), undefined));
}

test("findQueueId() goes on to the next form where the first has no id", () => {
  assertEquals(findQueueId("queued as <none> id=5"), "5");
});

test("findQueueId() gives no more than 128 characters, and none that could harm a log", () => {
  assertEquals(findQueueId("id=" + "a".repeat(1000)), "a".repeat(128));
  assertEquals(findQueueId("id=abc\u001b[31m"), "abc");
});
