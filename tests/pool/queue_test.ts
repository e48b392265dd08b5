import { assertEquals } from "@std/assert";
import { Heap } from "../../src/pool/heap.ts";
import { Mail } from "../../src/pool/mail.ts";
import type { QueuePriority } from "../../src/pool/options.ts";
import { MailQueue } from "../../src/pool/queue.ts";
import { Rates } from "../../src/pool/rate.ts";
import { test } from "../support/harness.ts";

let order = 0;

function mail(to: string | string[], priority: QueuePriority = "normal"): Mail {
  return new Mail(order++, priority, { from: null, to }, "A: b", {});
}

const toOf = (one: Mail | undefined) => one?.envelope.to;

function takeAll(queue: MailQueue, now: number): unknown[] {
  const all: unknown[] = [];
  for (let next = queue.take(now); next !== undefined; next = queue.take(now)) all.push(toOf(next));
  return all;
}

test("Heap gives back what has the lowest rank, whatever the order in which it came", () => {
  let seed = 1;
  const random = () => (seed = seed * 48_271 % 2_147_483_647) % 1_000;
  for (let size = 0; size < 60; size++) {
    const heap = new Heap<number>();
    const ranks = Array.from({ length: size }, random);
    for (const rank of ranks) heap.push(rank, rank);
    assertEquals([...heap].sort(), [...ranks].sort());
    const sorted = [...ranks].sort((a, b) => a - b);
    assertEquals(Array.from({ length: size }, () => heap.pop()), sorted);
    assertEquals([heap.pop(), heap.size, heap.lowest], [undefined, 0, Infinity]);
  }
});

test("MailQueue gives mails in the order of the calls, those that were tried before first", () => {
  const queue = new MailQueue(new Rates());
  const mails = ["a@a.test", "b@a.test", "c@a.test"].map((to) => mail(to));
  for (const one of mails) queue.push(one, 0);
  const first = queue.take(0)!;
  queue.push(first, 0);
  assertEquals([takeAll(queue, 0), queue.size, queue.dueAt(0)], [
    ["a@a.test", "b@a.test", "c@a.test"],
    0,
    Infinity,
  ]);
});

test("MailQueue gives mails of a higher priority first, and one in eight of a lower one", () => {
  const queue = new MailQueue(new Rates());
  for (const priority of ["low", "normal", "high"] as const) {
    for (let i = 0; i < 80; i++) queue.push(mail(`${priority}@a.test`, priority), 0);
  }
  const all = takeAll(queue, 0).map((to) => String(to)[0]);
  assertEquals(all.slice(0, 16).join(""), "hhhhhhhnhhhhhhhn");
  assertEquals(all[63], "l");
  assertEquals(all.length, 240);
});

test("MailQueue lets a slow domain hold up nobody else", () => {
  const queue = new MailQueue(
    new Rates(undefined, (domain) => domain === "slow.test" ? { messages: 1, interval: 1_000 } : undefined),
  );
  for (let i = 0; i < 3; i++) queue.push(mail(`${i}@SLOW.test`), 0);
  queue.push(mail("a@fast.test"), 0);
  queue.push(mail("not an address"), 0);
  assertEquals(takeAll(queue, 0), ["0@SLOW.test", "a@fast.test", "not an address"]);
  assertEquals([queue.size, queue.dueAt(0)], [2, 1_000]);
  assertEquals(takeAll(queue, 999), []);
  queue.push(mail("urgent@slow.test", "high"), 999);
  assertEquals([takeAll(queue, 1_000), takeAll(queue, 3_000)], [["urgent@slow.test"], ["1@SLOW.test"]]);
  assertEquals([takeAll(queue, 4_000), queue.dueAt(4_000)], [["2@SLOW.test"], Infinity]);
});

test("MailQueue makes a mail to several domains wait for a token of each, and starves it for none", () => {
  const queue = new MailQueue(new Rates(undefined, () => ({ messages: 1, interval: 1_000 })));
  queue.push(mail("a@a.test"), 0);
  queue.push(mail("b@b.test"), 0);
  queue.push(mail(["both@a.test", "both@b.test"]), 0);
  for (let i = 0; i < 5; i++) {
    queue.push(mail(`${i}@a.test`), 0);
    queue.push(mail(`${i}@b.test`), 0);
  }
  assertEquals(takeAll(queue, 0), ["a@a.test", "b@b.test"]);
  const second = takeAll(queue, 1_000);
  assertEquals(second, [["both@a.test", "both@b.test"]]);
  assertEquals(takeAll(queue, 2_000), ["0@a.test", "0@b.test"]);
});

test("MailQueue counts the rate of all messages over every domain", () => {
  const queue = new MailQueue(new Rates({ messages: 2, interval: 1_000 }));
  for (let i = 0; i < 5; i++) queue.push(mail(`${i}@a.test`), 0);
  assertEquals([takeAll(queue, 0), queue.dueAt(0)], [["0@a.test", "1@a.test"], 1_000]);
  assertEquals([takeAll(queue, 1_500), takeAll(queue, 2_499)], [["2@a.test", "3@a.test"], []]);
  assertEquals(takeAll(queue, 2_500), ["4@a.test"]);
});

test("MailQueue keeps mails that wait to be tried again until they are due, and passes over those that were given up", () => {
  const queue = new MailQueue(new Rates());
  const [one, two, three] = [mail("1@a.test"), mail("2@a.test"), mail("3@a.test")];
  queue.rest(one, 500);
  queue.rest(two, 100);
  queue.push(three, 0);
  assertEquals([queue.size, queue.atRest, [...queue.waiting()].length], [3, 2, 1]);
  for (const given of [two, three]) {
    given.result.catch(() => {});
    given.fail(new Error("given up"));
    queue.forget(given);
  }
  assertEquals([queue.size, queue.atRest, takeAll(queue, 0), queue.dueAt(0)], [1, 1, [], 100]);
  assertEquals([takeAll(queue, 499), queue.dueAt(499), takeAll(queue, 500), queue.size], [[], 500, [
    "1@a.test",
  ], 0]);
});
