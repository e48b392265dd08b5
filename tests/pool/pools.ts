/**
 * Pools in memory, in a time of their own.
 * @module
 */
import { SmtpPool } from "../../src/pool/pool.ts";
import type { PoolSendOptions, SmtpPoolOptions } from "../../src/pool/options.ts";
import type { PoolError, PoolReceipt } from "../../src/pool/results.ts";
import { test } from "../support/harness.ts";
import { FakeServer, network } from "./fake_server.ts";
import { inTime } from "./time.ts";

/** A message. */
export const TEXT = "A: b\r\n\r\nHello\r\n";

/** Sends a mail to a name. */
export function sendTo(pool: SmtpPool, name: string, options: PoolSendOptions = {}): Promise<PoolReceipt> {
  return pool.send({ from: "me@client.test", to: `${name}@mx.test` }, TEXT, options);
}

/** What a promise rejects with; `undefined` if it does not. */
export function failure(sent: Promise<unknown>): Promise<PoolError | undefined> {
  return sent.then(() => undefined, (error) => error as PoolError);
}

/** A pool for servers by the names of their hosts, in the order of preference. */
export function poolOf(servers: Record<string, FakeServer>, options: SmtpPoolOptions = {}): SmtpPool {
  const names = Object.keys(servers);
  return new SmtpPool({
    ...(names.length === 1 ? { hostname: names[0]! } : { hosts: names.map((hostname) => ({ hostname })) }),
    socket: network(servers),
    security: "none",
    clientName: "client.test",
    ...options,
  });
}

/** Declares a test with a pool for one server, `mx.test`. */
export function poolTest(
  name: string,
  options: SmtpPoolOptions,
  body: (pool: SmtpPool, server: FakeServer) => Promise<void>,
  extensions: string[] = ["PIPELINING", "CHUNKING"],
): void {
  test(name, () =>
    inTime(async () => {
      const server = new FakeServer();
      server.extensions = extensions;
      await using pool = poolOf({ "mx.test": server }, options);
      await body(pool, server);
    }));
}

/** Declares a test with a pool for several servers: `a.test`, `b.test`, and so on. */
export function hostsTest(
  name: string,
  options: SmtpPoolOptions,
  body: (pool: SmtpPool, a: FakeServer, b: FakeServer) => Promise<void>,
): void {
  test(name, () =>
    inTime(async () => {
      const [a, b] = [new FakeServer(), new FakeServer()];
      await using pool = poolOf({ "a.test": a, "b.test": b }, options);
      await body(pool, a, b);
    }));
}

/** To whom the server's mails were. */
export function recipientsOf(server: FakeServer): string[] {
  return server.taken.map(({ to }) => to[0]!.split("@")[0]!);
}
