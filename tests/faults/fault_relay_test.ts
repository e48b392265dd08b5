/** The relay does what the plan says, to the byte: what other tests find through it is true. */
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { assertEquals } from "@std/assert";
import { FaultRelay, type RelayPlan } from "../support/fault_relay.ts";
import type { Fault } from "../support/faults.ts";
import { test } from "../support/unwatched.ts";

/** What one side has got, and how it ended. */
class Seen {
  text = "";
  /** The sizes of what was read at once. */
  readonly reads: number[] = [];
  readonly end: Promise<"end" | "reset">;

  constructor(socket: Socket) {
    let isReset = false;
    socket.on("data", (bytes) => {
      this.text += bytes.toString("latin1");
      this.reads.push(bytes.length);
    });
    this.end = new Promise((resolve) => {
      socket.on("error", () => isReset = true);
      socket.on("end", () => resolve("end"));
      socket.on("close", () => resolve(isReset ? "reset" : "end"));
    });
  }
}

const UP = "0123456789";
const DOWN = "abcdefghij";

/** Both sides say ten bytes to each other through a relay. */
async function through(
  plan: RelayPlan,
  body: (client: { socket: Socket; seen: Seen }, server: { socket: Socket; seen: Seen }) => Promise<void>,
): Promise<void> {
  const listener = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  {
    await using relay = await FaultRelay.start((listener.address() as AddressInfo).port);
    relay.plan = () => plan;
    const client = connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true });
    const seen = new Seen(client);
    const server = await accepted;
    try {
      await body({ socket: client, seen }, { socket: server, seen: new Seen(server) });
    } finally {
      client.destroy();
      server.destroy();
    }
  }
  await new Promise<void>((resolve) => listener.close(() => resolve()));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const faultAt = (kind: Fault["kind"], direction: Fault["direction"], at: number): RelayPlan => ({
  fault: { kind, direction, at },
});

for (const [direction, other] of [["up", "down"], ["down", "up"]] as const) {
  for (const kind of ["fin", "rst", "half-close"] as const) {
    test(`FaultRelay passes 4 bytes ${direction}, then ${kind}`, () =>
      through(faultAt(kind, direction, 4), async (client, server) => {
        const [from, to] = direction === "up" ? [client, server] : [server, client];
        const text = direction === "up" ? UP : DOWN;
        from.socket.write(text);
        const end = await to.seen.end;
        // A reset that comes together with bytes libuv shows as an end.
        if (kind !== "rst") assertEquals([end, to.seen.text], ["end", text.slice(0, 4)]);
        if (kind === "half-close") {
          to.socket.write("back");
          await until(() => from.seen.text === "back");
        } else {
          assertEquals(await from.seen.end, kind === "rst" ? "reset" : "end");
          assertEquals(from.seen.text, "", other);
        }
      }));
  }
}

test("FaultRelay passes 4 bytes up, and then nothing in any direction, and nobody is told", () =>
  through(faultAt("stall", "up", 4), async (client, server) => {
    client.socket.write(UP);
    await until(() => server.seen.text.length === 4);
    server.socket.write(DOWN);
    server.socket.end();
    const silent = Symbol();
    const first = await Promise.race([
      client.seen.end,
      new Promise((resolve) => setTimeout(() => resolve(silent), 30)),
    ]);
    assertEquals([first === silent, client.seen.text, server.seen.text], [true, "", "0123"]);
  }));

test("FaultRelay drops what comes after 4 bytes up, and passes the other direction", () =>
  through(faultAt("drop", "up", 4), async (client, server) => {
    client.socket.write(UP);
    await until(() => server.seen.text.length === 4);
    server.socket.write(DOWN);
    await until(() => client.seen.text === DOWN);
    client.socket.write(UP);
    client.socket.end();
    assertEquals([await server.seen.end, server.seen.text], ["end", "0123"]);
  }));

test("FaultRelay changes the byte after 4 bytes down, and no other", () =>
  through(faultAt("corrupt", "down", 4), async (client, server) => {
    server.socket.write(DOWN);
    await until(() => client.seen.text.length === 10);
    assertEquals(client.seen.text, "abcdEfghij");
  }));

test("FaultRelay splits to single bytes, delays and gathers without changing anything", async () => {
  for (const plan of [{ pieces: 1 }, { delay: 5 }, { coalesce: 20 }, { pieces: 1, delay: 3 }]) {
    await through(plan, async (client, server) => {
      for (const char of UP) client.socket.write(char);
      server.socket.write(DOWN);
      client.socket.end();
      server.socket.end();
      assertEquals([await client.seen.end, await server.seen.end], ["end", "end"]);
      assertEquals([client.seen.text, server.seen.text], [DOWN, UP], JSON.stringify(plan));
      if (plan.coalesce !== undefined) assertEquals(server.seen.reads, [10]);
    });
  }
});
