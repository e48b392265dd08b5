import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fixedToken, TokenError, tokenSource } from "../../src/oauth2/mod.ts";
import type { IssueContext, IssuedToken } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";

/** A clock that stands still, and a function that issues t1, t2, … and records its arguments. */
function setting(expiresIn?: number) {
  const told: IssueContext[] = [];
  const clock = { time: 1_000_000 };
  const issue = (context: IssueContext): Promise<IssuedToken> => {
    told.push(context);
    return Promise.resolve({ accessToken: `t${told.length}`, expiresIn });
  };
  return { told, clock, now: () => clock.time, issue };
}

test("tokenSource() issues one token for all who ask at the same time, and keeps it", async () => {
  const { told, issue } = setting(3600);
  const source = tokenSource(issue);
  assertEquals(await Promise.all(Array.from({ length: 10 }, () => source())), Array(10).fill("t1"));
  assertEquals(await source(), "t1");
  assertEquals(told.length, 1);
});

test("tokenSource() issues another token a margin before the old one expires", async () => {
  const { told, clock, now, issue } = setting(3600);
  const source = tokenSource(issue, { now });
  await source();
  clock.time += 3_540_000 - 1;
  assertEquals(await source(), "t1");
  clock.time += 1;
  assertEquals(await Promise.all([source(), source()]), ["t2", "t2"]);
  assertEquals(told.map(({ refused }) => refused), [undefined, undefined]);
});

test("tokenSource() uses the caller's margin, but at most half of a token's lifetime", async () => {
  const { clock, now, issue } = setting(100);
  const wide = tokenSource(issue, { now, margin: 600_000 });
  assertEquals(await wide(), "t1");
  clock.time += 49_999;
  assertEquals(await wide(), "t1");
  clock.time += 1;
  assertEquals(await wide(), "t2");
  const none = tokenSource(issue, { now, margin: 0 });
  assertEquals(await none(), "t3");
  clock.time += 99_999;
  assertEquals(await none(), "t3");
  clock.time += 1;
  assertEquals(await none(), "t4");
});

test("tokenSource() keeps a token of unknown lifetime until it is refused", async () => {
  const { told, clock, now, issue } = setting(undefined);
  const source = tokenSource(issue, { now });
  await source();
  clock.time += 1e12;
  assertEquals(await source(), "t1");
  assertEquals(await source("t1"), "t2");
  assertEquals(told.map(({ refused }) => refused), [undefined, "t1"]);
});

test("tokenSource() takes a token without a lifetime, and one without a promise", async () => {
  assertEquals(await tokenSource(() => "alone")(), "alone");
  assertEquals(await tokenSource(() => ({ accessToken: "at-once" }))(), "at-once");
});

test("tokenSource() replaces a refused token once, however many connections were refused", async () => {
  const { told, issue } = setting(3600);
  const source = tokenSource(issue);
  await source();
  assertEquals(await Promise.all(Array.from({ length: 10 }, () => source("t1"))), Array(10).fill("t2"));
  assertEquals(await source("t1"), "t2"); // the slowest of them
  assertEquals(await source(), "t2");
  assertEquals(told.length, 2);
});

test("tokenSource() fails all who wait with the same error, and tries again for the next", async () => {
  let calls = 0;
  const source = tokenSource(() => {
    if (++calls === 1) throw new Error("Out of order");
    return "t";
  });
  const errors = await Promise.all([1, 2, 3].map(() => assertRejects(() => source(), TokenError)));
  assertEquals(new Set(errors).size, 1);
  assertEquals([errors[0]!.code, (errors[0]!.cause as Error).message], ["callback-failed", "Out of order"]);
  assertEquals(await source(), "t");
  assertEquals(calls, 2);
});

test("tokenSource() keeps using a token that is still valid when no other can be obtained", async () => {
  const { told, clock, now, issue } = setting(3600);
  let broken = false;
  const source = tokenSource((context) => broken ? Promise.reject(new Error("Down")) : issue(context), {
    now,
  });
  await source();
  broken = true;
  clock.time += 3_599_999;
  assertEquals(await source(), "t1");
  clock.time += 1;
  await assertRejects(() => source(), TokenError);
  broken = false;
  assertEquals(await source(), "t2");
  broken = true;
  await assertRejects(() => source("t2"), TokenError); // refused is refused
  assertEquals(told.length, 2);
});

test("tokenSource() stops after its time limit, aborts the function, and tries again for the next", async () => {
  const signals: AbortSignal[] = [];
  const source = tokenSource(({ signal }) => {
    signals.push(signal);
    return signals.length === 1 ? new Promise<string>(() => {}) : "t";
  }, { timeout: 1 });
  const error = await assertRejects(() => source(), TokenError);
  assertEquals([error.code, error.temporary, signals[0]!.reason], ["timeout", true, error]);
  assertEquals(await source(), "t");
  assert(!signals[1]!.aborted);
});

test("tokenSource() stops for good with its signal", async () => {
  const controller = new AbortController();
  const told: AbortSignal[] = [];
  const source = tokenSource(({ signal }) => {
    told.push(signal);
    return new Promise<string>(() => {});
  }, { signal: controller.signal, timeout: Infinity });
  const waiting = assertRejects(() => source(), TokenError);
  controller.abort("Enough");
  assertEquals([(await waiting).code, (await waiting).cause], ["aborted", "Enough"]);
  assertEquals((await assertRejects(() => source(), TokenError)).code, "aborted");
  assertEquals(told.map(({ aborted }) => aborted), [true]);
});

test("tokenSource() refuses a token with characters that have a meaning in AUTH", async () => {
  const wrong = ["", "a b", "a\x01auth=Bearer b", "a\r\nb", "ä", "a\x7f"];
  for (const accessToken of wrong) {
    const error = await assertRejects(() => tokenSource(() => accessToken)(), TokenError);
    assertEquals(error.code, "bad-response");
    assert(accessToken === "" || !error.message.includes(accessToken));
    assertThrows(() => fixedToken(accessToken), TypeError);
  }
});

test("tokenSource() refuses results that are not tokens", async () => {
  const values = [undefined, null, 1, {}, { accessToken: 1 }, { accessToken: "t", expiresIn: -1 }, {
    accessToken: "t",
    expiresIn: NaN,
  }, { accessToken: "t", expiresIn: "3600" }];
  for (const value of values) {
    const error = await assertRejects(() => tokenSource(() => value as unknown as string)(), TokenError);
    assertEquals(error.code, "bad-response");
  }
});

test("tokenSource() refuses invalid options", () => {
  assertThrows(() => tokenSource("token" as never), TypeError);
  for (const margin of [-1, NaN, "60"]) {
    assertThrows(() => tokenSource(() => "t", { margin: margin as number }), RangeError);
  }
  for (const timeout of [0, -1, NaN, "60"]) {
    assertThrows(() => tokenSource(() => "t", { timeout: timeout as number }), RangeError);
  }
});

test("tokenSource() requests one token for each that expires or is refused, in any order of events", async () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), times: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant("refuse" as const), back: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 120_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 20 }), async (events) => {
      const { told, clock, now, issue } = setting(100);
      const source = tokenSource(issue, { now, margin: 10_000 });
      // The model: the number of tokens so far, and until when the last one is used.
      let count = 0;
      let until = -Infinity;
      const expected = () => {
        if (clock.time >= until) {
          count++;
          until = clock.time + 90_000;
        }
        return `t${count}`;
      };
      for (const event of events) {
        if (event.kind === "wait") clock.time += event.ms;
        else if (event.kind === "ask") {
          const token = expected();
          const tokens = await Promise.all(Array.from({ length: event.times }, () => source()));
          assertEquals(tokens, Array(event.times).fill(token));
        } else {
          if (event.back === 0) until = -Infinity;
          const refused = `t${count - event.back}`;
          assertEquals(await source(refused), expected());
        }
      }
      assertEquals(told.length, count);
    }),
    { numRuns: 200 },
  );
});

test("fixedToken() returns the same token, refused or not", async () => {
  const source = fixedToken("token");
  assertEquals([await source(), await source("token")], ["token", "token"]);
  assertThrows(() => fixedToken(1 as never), TypeError);
});
