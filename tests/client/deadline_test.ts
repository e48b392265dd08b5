import { assert, assertEquals } from "@std/assert";
import { Deadline } from "../../src/client/deadline.ts";
import { test } from "../support/harness.ts";

const expired = (limit: (deadline: Deadline) => void): Promise<number> =>
  new Promise((resolve) => {
    const begin = performance.now();
    limit(new Deadline(() => resolve(performance.now() - begin)));
  });

test("Deadline expires once its limit is reached", async () => {
  assert(await expired((deadline) => deadline.start(5)) >= 4);
});

test("Deadline counts from the first start() until it is renewed", async () => {
  const took = await expired((deadline) => {
    deadline.start(10);
    deadline.start(100_000);
  });
  assert(took < 10_000, `${took}`);
});

test("Deadline that is renewed waits anew, though its timer fires before", async () => {
  let fired = 0;
  const deadline = new Deadline(() => fired++);
  deadline.start(1);
  deadline.renew();
  deadline.start(40);
  await new Promise((resolve) => setTimeout(resolve, 15));
  assertEquals(fired, 0);
  deadline.stop();
});

test("Deadline sets its timer anew for a limit that ends sooner", async () => {
  const took = await expired((deadline) => {
    deadline.start(100_000);
    deadline.renew();
    deadline.start(5);
  });
  assert(took < 10_000, `${took}`);
});

test("Deadline takes a limit that a timer cannot count, and stops", () => {
  const deadline = new Deadline(() => assert(false));
  deadline.start(Infinity);
  deadline.renew();
  deadline.start(2 ** 40);
  deadline.stop();
});
