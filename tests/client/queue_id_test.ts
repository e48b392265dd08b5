import { assertEquals } from "@std/assert";
import { findQueueId } from "../../src/client/queue_id.ts";
import { test } from "../support/harness.ts";

for (
  const [server, text, id] of [
    ["Postfix", "Ok: queued as 4XyZ1234", "4XyZ1234"],
    ["Postfix with long ids", "Ok: queued as 4Z8xQk5nVRz9sT1", "4Z8xQk5nVRz9sT1"],
    ["Exim", "OK id=1rAbCd-0000Ab-1C", "1rAbCd-0000Ab-1C"],
    ["smtp-server", "OK: message queued as 0123abc", "0123abc"],
    ["ZoneMTA", "Message queued as 18c9e1a2b3c0001234", "18c9e1a2b3c0001234"],
    ["Mail.ru", "OK id=1rAbCd-0000Ab-1C", "1rAbCd-0000Ab-1C"],
    ["GMX", "Requested mail action okay, completed: id=0MKsYj-1abcDE2345-00xyz", "0MKsYj-1abcDE2345-00xyz"],
    ["SendGrid", "Ok: queued as bLrPb3jGQ_-abc12", "bLrPb3jGQ_-abc12"],
    ["iCloud", "Ok: queued as 6C2A51C00124", "6C2A51C00124"],
    ["Sendmail", "3AM8q1Z2012345 Message accepted for delivery", "3AM8q1Z2012345"],
    ["OpenSMTPD", "d2f1b2c3 Message accepted for delivery", "d2f1b2c3"],
    [
      "Exchange",
      "<7d0f@mx.test> [InternalId=25546246717441, Hostname=MB1.mx.test] 1234 bytes in 0.1, 10 KB/sec Queued mail for delivery",
      "25546246717441",
    ],
    ["an older Exchange", "<7d0f@mx.test> [InternalId=77] Queued mail for delivery", "77"],
    [
      "Gmail",
      "OK  1700000000 d2e1a72fcca58-6c4e1f5si123456b3a.12 - gsmtp",
      "d2e1a72fcca58-6c4e1f5si123456b3a.12",
    ],
    [
      "Amazon SES",
      "Ok 0100018c1a2b3c4d-5e6f7a8b-9c0d-1e2f-3a4b-5c6d7e8f9a0b-000000",
      "0100018c1a2b3c4d-5e6f7a8b-9c0d-1e2f-3a4b-5c6d7e8f9a0b-000000",
    ],
    ["Courier", "Ok. 000000000012AB34.5678.00000001", "000000000012AB34.5678.00000001"],
    ["qmail", "ok 1700000000 qp 12345", "12345"],
    ["Dovecot's LMTP", "<you@mx.test> 4FqUFr3/OGcXAAAAjrAg Saved", "4FqUFr3/OGcXAAAAjrAg"],
    [
      "Haraka",
      "Message Queued (0A1B2C3D-4E5F-6A7B-8C9D-0E1F2A3B4C5D.1)",
      "0A1B2C3D-4E5F-6A7B-8C9D-0E1F2A3B4C5D.1",
    ],
    ["Mimecast", "Received OK [Xb3k9fT_PQ2-abc.us12]", "Xb3k9fT_PQ2-abc.us12"],
    ["a server in capitals", "OK QUEUED AS ABC", "ABC"],
    ["a server with brackets behind it", "queued as ABC) done", "ABC"],
    ["a Message-ID", "Message-ID:a@b.test", "a@b.test"],
    ["several lines", "first\nqueued as ABC\nlast", "ABC"],
  ] as const
) {
  test(`findQueueId() finds the id of ${server}`, () => assertEquals(findQueueId(text), id));
}

for (
  const text of [
    ...["", "Ok", "queued as ", "queued as (none)", "id= 5", "queued asX", "Ok queued", "Message received"],
    ...[
      "Ok, message saved",
      "Your message accepted for delivery",
      "valid=yes",
      "OK: message queued",
      "Ok <1>",
    ],
    ...[`Ok ${"1".repeat(129)}`, "Requested mail action okay, completed", "Great success"],
  ]
) {
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
