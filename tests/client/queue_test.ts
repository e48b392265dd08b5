import { assertEquals } from "@std/assert";
import { Queue } from "../../src/client/queue.ts";
import { test } from "../support/harness.ts";

test("Queue gives what was put in, in order, while more is put in", () => {
  const queue = new Queue<number>();
  const taken: number[] = [];
  let next = 0;
  for (let round = 0; round < 5_000; round++) {
    for (let i = 0; i < round % 4; i++) queue.push(next++);
    assertEquals(queue.length, next - taken.length);
    const first = queue.peek();
    const item = queue.shift();
    assertEquals(item, first);
    if (item !== undefined) taken.push(item);
  }
  assertEquals([...taken, ...queue.drain()], Array.from({ length: next }, (_, i) => i));
  assertEquals([queue.length, queue.peek(), queue.shift()], [0, undefined, undefined]);
});
