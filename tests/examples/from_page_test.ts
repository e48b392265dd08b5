import { assert, assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import { fromPage } from "../../examples/browser/from_page.ts";
import { test } from "../support/harness.ts";

/** A page that sends for as long as it is not made to wait. */
class Page extends EventEmitter {
  paused = false;
  closed: number | undefined;
  pause = () => void (this.paused = true);
  resume = () => void (this.paused = false);
  close = (code: number) => void (this.closed = code);

  /** Sends messages of so many bytes. Gives how many went until it had to wait, or was closed. */
  fill(length: number, most = 1_000_000): number {
    let sent = 0;
    for (; sent < most && !this.paused && this.closed === undefined; sent++) {
      this.emit("message", new Uint8Array(length), true);
    }
    return sent;
  }
}

function open(maxBytes = Infinity): { page: Page; stream: ReadableStream<Uint8Array> } {
  const page = new Page();
  // deno-lint-ignore no-explicit-any
  const stream = fromPage(page as any, maxBytes, () => {}, () => {});
  return { page, stream };
}

test("fromPage() makes a page wait that sends messages of a byte, for the memory that they take", async () => {
  const { page, stream } = open();
  await Promise.resolve(); // the stream has started
  assertEquals(page.fill(1), 1021); // 256 KiB, at 257 bytes each
  assertEquals(page.paused, true);
  const reader = stream.getReader();
  for (let i = 0; i < 5; i++) assertEquals((await reader.read()).value!.length, 1);
  assertEquals(page.paused, false);
  assert(page.fill(1) <= 5);
  await reader.cancel();
});

test("fromPage() counts each message against the bytes that a page may send", async () => {
  const { page, stream } = open(10_000);
  assertEquals(page.fill(1), 39);
  assertEquals(page.closed, 1009);
  await stream.cancel();
});
