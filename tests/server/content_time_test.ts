import { assertEquals } from "@std/assert";
import { ContentTime } from "../../src/server/content_time.ts";
import { test } from "../support/harness.ts";

test("ContentTime runs out for a client that drips, however small its drops", () => {
  for (const [every, octets] of [[100, 1], [179_999, 1], [179_999, 1000], [1000, 499]] as const) {
    const time = new ContentTime(180_000);
    let drops = 0;
    for (; time.left > 0 && drops < 1_000_000; drops++) time.count(every, octets);
    assertEquals(time.left, 0, `${octets} every ${every}`);
  }
});

test("ContentTime never runs out for a client that sends 500 octets a second, nor for one that rests for less than the limit", () => {
  const time = new ContentTime(180_000);
  for (let i = 0; i < 100_000; i++) time.count(1000, 500);
  assertEquals(time.left, 180_000);
  for (let i = 0; i < 1000; i++) {
    time.count(100_000, 65_536);
    assertEquals(time.left > 0, true);
  }
});

test("ContentTime without a limit has time for ever", () => {
  const time = new ContentTime(Infinity);
  time.count(1e9, 1);
  assertEquals(time.left, Infinity);
});
