import { assert, assertEquals } from "@std/assert";
import { Rates, SlidingWindow, TokenBucket } from "../../src/pool/rate.ts";
import { test } from "../support/harness.ts";

test("SlidingWindow lets no more go in any interval, wherever it begins", () => {
  const window = new SlidingWindow({ messages: 3, interval: 1_000 });
  const times: number[] = [];
  for (let now = 0; times.length < 30; now += 7) {
    // Sometimes nobody asks for a while, and then many do.
    if (now % 1_400 < 700) continue;
    while (window.opensAt <= now) {
      window.take(now);
      times.push(now);
    }
  }
  for (let i = 3; i < times.length; i++) assert(times[i]! - times[i - 3]! >= 1_000, `${times}`);
});

test("TokenBucket begins full, gets its tokens back evenly, and holds no more than it had", () => {
  const bucket = new TokenBucket({ messages: 4, interval: 1_000 });
  const takeAll = (now: number) => {
    let count = 0;
    for (; bucket.opensAt <= now; count++) bucket.take(now);
    return count;
  };
  assertEquals([0, 100, 250, 500, 1_000, 9_000].map(takeAll), [4, 0, 1, 1, 2, 4]);
  assert(!bucket.isFull(9_100) && bucket.isFull(10_000));
});

test("Rates keeps a bucket for each domain, and forgets those that are full", () => {
  const asked: string[] = [];
  const rates = new Rates(undefined, (domain) => {
    asked.push(domain);
    return domain === "free.test" ? undefined : { messages: 1, interval: 1_000 };
  });
  assertEquals(rates.of("free.test", 0), undefined);
  rates.of("a.test", 0)!.take(0);
  assertEquals(rates.of("a.test", 0)!.opensAt, 1_000);
  assertEquals(rates.of("b.test", 0)!.opensAt <= 0, true);
  for (let i = 0; i < 3_000; i++) rates.of(`${i}.test`, 10);
  assertEquals(rates.of("a.test", 10)!.opensAt, 1_000); // it remembers something
  assertEquals(asked.filter((domain) => domain === "a.test").length, 1);
});
