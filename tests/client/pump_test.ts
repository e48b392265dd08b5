import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { test } from "../support/harness.ts";
import { ModelServer, recipient, sender } from "../support/model_server.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const GOOD = {
  from: sender("s", { mail: 250, data: 354, chunk: 250, final: 250 }),
  to: recipient("r", 250),
};

async function modelled(
  options: SmtpClientOptions,
  body: (client: SmtpClient) => Promise<void>,
): Promise<ModelServer> {
  const [socket, peer] = memorySocketPair();
  const server = new ModelServer(peer, { pipelining: true, chunking: true });
  const client = await SmtpClient.connect({
    socket,
    security: "none",
    clientName: "client.test",
    ...options,
  });
  try {
    await body(client);
  } finally {
    await client.quit();
    await peer.close().catch(() => {});
    await server.done;
  }
  return server;
}

for (const transfer of ["bdat", "data"] as const) {
  test(`Pump says that the source has failed when it cannot even be begun (${transfer})`, async () => {
    const cause = new Error("no such file");
    await modelled({ transfer, timeouts: { block: 500 } }, async (client) => {
      const broken = {
        [Symbol.asyncIterator]() {
          throw cause;
        },
      };
      const error = await rejectsWith("source-failed", () => client.send(GOOD, broken as unknown as Message));
      assertEquals([error.outcome, error.cause], ["not-sent", cause]);
    });
  });

  test(`Pump does not count the time that a slow source takes against the server (${transfer})`, async () => {
    const server = await modelled({ transfer, timeouts: { block: 20 } }, async (client) => {
      const stream = new ReadableStream<string>({
        async pull(source) {
          await new Promise((resolve) => setTimeout(resolve, 60));
          source.enqueue("A: late");
          source.close();
        },
      }, { highWaterMark: 0 });
      await client.send(GOOD, stream);
    });
    assertEquals(server.delivered.length, 1);
  });

  for (
    const [what, returns] of [
      ["throws", () => {
        throw new Error("no");
      }],
      ["gives no promise", () => ({ done: true, value: undefined })],
    ] as [string, () => unknown][]
  ) {
    test(`SmtpClient.send() settles when it is aborted and the source's return() ${what} (${transfer})`, async () => {
      await modelled({ transfer }, async (client) => {
        const controller = new AbortController();
        const iterable = {
          [Symbol.asyncIterator]: () => ({
            next: () => {
              queueMicrotask(() => controller.abort());
              return new Promise(() => {});
            },
            return: returns,
          }),
        };
        // An exception in a listener is reported as uncaught on every runtime: take it before it ends the run.
        const settled = client.send(GOOD, iterable as unknown as Message, { signal: controller.signal });
        const error = await rejectsWith("aborted", () => settled);
        assertEquals(error.outcome, "not-sent");
      });
    });
  }

  test(`Pump tells of progress in bytes of the message, up to all of them (${transfer})`, async () => {
    await modelled({ transfer }, async (client) => {
      const seen: number[] = [];
      const message = `A:\n${".\n".repeat(400_000)}`;
      await client.send(GOOD, message, { onProgress: ({ sent }) => seen.push(sent) });
      assertEquals(seen.at(-1), message.length);
      assert(seen.length > 2);
      assertEquals(seen, [...seen].sort((a, b) => a - b));
    });
  });
}
