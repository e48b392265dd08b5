import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import dns from "node:dns";
import net from "node:net";
import { connect } from "../../src/sockets/connect.ts";
import type { SocketAddress, SocketOptions } from "../../src/sockets/socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { assertFails, certificates } from "./conformance.ts";

type Lookup = (hostname: string) => Promise<string[]>;
type Found = (error: Error | null, found: { address: string }[]) => void;

/** The system's resolver, as this runtime asks for it. */
const resolver = runtime === "bun" && "Bun" in globalThis
  ? (globalThis as unknown as { Bun: { dns: { lookup: unknown } } }).Bun.dns
  : undefined;

/** Puts another resolver in the place of the system's until it is disposed of. Listen first: node:net looks up, too. */
function resolveWith(lookup: Lookup): Disposable {
  const find = async (hostname: string) => (await lookup(hostname)).map((address) => ({ address }));
  const originals = [dns.lookup, resolver?.lookup];
  const byNode = (hostname: string, _: unknown, found: Found) =>
    void find(hostname).then((all) => found(null, all), (error) => found(error, []));
  dns.lookup = byNode as unknown as typeof dns.lookup;
  if (resolver !== undefined) resolver.lookup = find;
  return {
    [Symbol.dispose]() {
      dns.lookup = originals[0] as typeof dns.lookup;
      if (resolver !== undefined) resolver.lookup = originals[1];
    },
  };
}

/** How the adapters of this runtime that look up names are reached: Deno and Bun use node:net with a localAddress. */
const adapters: Record<string, SocketOptions> = { "connect()": {} };
if (runtime !== "node") adapters["connect() with a localAddress"] = { localAddress: "127.0.0.1" };

for (const [name, base] of Object.entries(adapters)) {
  const where = `${name} on ${runtime}`;
  const isDeno = runtime === "deno" && base.localAddress === undefined;

  test(`${where} goes on to the next address of a host when one refuses`, async () => {
    await using listener = await Listener.tcp("127.0.0.5");
    const { port } = listener.address as { port: number };
    using _ = resolveWith(() => Promise.resolve(["127.0.0.3", "::1", "127.0.0.5", "127.0.0.6"]));
    const socket = connect({ hostname: "localhost", port }, base);
    await listener.accept();
    assertEquals((await socket.opened).remoteAddress, `127.0.0.5:${port}`);
    await socket.close();
  });

  test(`${where} checks the certificate for the host name, whatever the address`, async () => {
    const { authority, otherName } = await certificates();
    await using listener = await Listener.tcp("127.0.0.5");
    const { port } = listener.address as { port: number };
    using _ = resolveWith(() => Promise.resolve(["127.0.0.3", "127.0.0.5"]));
    const tls = { caCerts: [authority.cert] };
    // Deno asks the system itself first, which knows no other names.
    for (const hostname of isDeno ? ["localhost"] : ["mx.test", "other.test"]) {
      const socket = connect({ hostname, port }, { ...base, secureTransport: "on", tls });
      const peer = listener.accept().then((peer) => peer.startTls(otherName));
      if (hostname === "mx.test") {
        assertEquals(((await peer).raw as { servername?: string }).servername, hostname);
        await socket.opened;
        await socket.close();
      } else {
        const gone = peer.then((secure) => secure.drain(), () => {});
        await assertFails(socket.opened, "certificate-name");
        await gone;
      }
    }
  });

  test(`${where} names each address that it has tried, with its failure`, async () => {
    const port = await unusedPort();
    using _ = resolveWith(() => Promise.resolve(["127.0.0.3", "127.0.0.5"]));
    const socket = connect({ hostname: "localhost", port }, base);
    const error = await assertFails(socket.opened, "connection-refused");
    assertEquals(
      error.message,
      `Connection refused (localhost:${port}), at 127.0.0.3: Connection refused; 127.0.0.5: Connection refused`,
    );
    assertEquals(error.attempts.map(({ address, error: { code } }) => [address, code]), [
      ["127.0.0.3", "connection-refused"],
      ["127.0.0.5", "connection-refused"],
    ]);
    assertInstanceOf(error.cause, AggregateError);
    assertEquals(error.cause.errors, error.attempts.map(({ error }) => error.cause));
  });

  test(`${where} names the only address of a host`, async () => {
    const port = await unusedPort();
    using _ = resolveWith(() => Promise.resolve(["127.0.0.1"]));
    const socket = connect({ hostname: "localhost", port }, base);
    const error = await assertFails(socket.opened, "connection-refused");
    assertStringIncludes(error.message, `Connection refused (localhost:${port} at 127.0.0.1): `);
    assertEquals(error.attempts.map(({ address }) => address), ["127.0.0.1"]);
    assertEquals(error.attempts[0]!.error.cause, error.cause);
  });

  test(`${where} gives up a race with its signal`, async () => {
    const controller = new AbortController();
    const port = await unusedPort();
    using _ = resolveWith(() => (controller.abort(new Error("enough")), Promise.resolve(["127.0.0.3"])));
    const socket = connect({ hostname: "localhost", port }, { ...base, signal: controller.signal });
    await assertFails(socket.opened, "aborted");
  });

  test(`${where} looks nothing up if an address is given`, async () => {
    const port = await unusedPort();
    using _ = resolveWith(() => Promise.reject(new Error("Nobody asks")));
    const socket = connect({ hostname: "127.0.0.1", port }, base);
    const error = await assertFails(socket.opened, "connection-refused");
    assertEquals(error.attempts, []);
  });
}

test("connect() tries only the addresses of the family of localAddress", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const place = { hostname: "localhost", port };
  const options = { localAddress: "127.0.0.2" };
  {
    using _ = resolveWith(() => Promise.resolve(["::1", "127.0.0.1"]));
    const socket = connect(place, options);
    const peer = await listener.accept();
    assertEquals([(await socket.opened).remoteAddress, peer.raw.remoteAddress], [
      `127.0.0.1:${port}`,
      "127.0.0.2",
    ]);
    await socket.close();
  }
  using _ = resolveWith(() => Promise.resolve(["::1"]));
  const error = await assertFails(connect(place, options).opened, "unreachable");
  assertStringIncludes(error.message, "The host has no IPv4 address");
});

test(`connect() on ${runtime} turns keep-alive on, unless the options say otherwise`, async () => {
  await using listener = await Listener.tcp();
  for (const [options, expected] of [[{}, true], [{ keepAlive: false }, false]] as const) {
    assertEquals(await keepAliveOf(listener.address, options), expected);
  }
});

/** What the runtime is told about keep-alive: the system does not tell. */
async function keepAliveOf(address: SocketAddress, options: SocketOptions): Promise<boolean | undefined> {
  let told: boolean | undefined;
  const note = <T extends { setKeepAlive(on: boolean): void }>(socket: T): T => {
    const original = socket.setKeepAlive.bind(socket);
    socket.setKeepAlive = (on) => original(told = on);
    return socket;
  };
  // deno-lint-ignore no-explicit-any
  const owner: any = runtime === "node" ? net : (globalThis as Record<string, unknown>)[
    runtime === "deno" ? "Deno" : "Bun"
  ];
  const { connect: original } = owner;
  owner.connect = runtime === "node"
    ? (options: net.TcpNetConnectOpts) => (told = options.keepAlive, original(options))
    : (options: unknown) => original(options).then(note);
  try {
    const socket = connect(address, options);
    await socket.opened;
    await socket.close();
  } finally {
    owner.connect = original;
  }
  return told;
}

if (runtime === "deno") {
  test("connect() on Deno goes on to the next address when one does not answer", async () => {
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const { port } = silent.addr as Deno.NetAddr;
    // A backlog of 1 takes 2 connections; the SYN of the third gets no answer.
    const waiting = await Promise.all([1, 2].map(() => Deno.connect({ hostname: "127.0.0.1", port })));
    using other = Deno.listen({ hostname: "127.0.0.2", port });
    using _ = resolveWith(() => Promise.resolve(["127.0.0.1", "127.0.0.2"]));
    const socket = connect({ hostname: "localhost", port });
    assertEquals((await socket.opened).remoteAddress, `127.0.0.2:${port}`);
    (await other.accept()).close();
    await socket.close();
    for (const conn of waiting) conn.close();
  });

  test("connect() on Deno looks nothing up if the system finds the host, or does not know it", async () => {
    let asked = 0;
    using _ = resolveWith(() => (asked++, Promise.resolve(["127.0.0.1"])));
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const socket = connect({ hostname: "localhost", port });
    await socket.opened;
    await socket.close();
    await assertFails(connect({ hostname: "does-not-exist.invalid", port }).opened, "host-not-found");
    assertEquals(asked, 0);
    (await listener.accept()).close();
  });

  for (
    const [net, attempts] of [["localhost:PORT", ""], ["localhost,127.0.0.1:PORT", "127.0.0.1"]] as const
  ) {
    test(`connect() to a name that refuses needs only --allow-net=${net}, and does not prompt`, async () => {
      const port = await unusedPort();
      const module = new URL("../../src/sockets/mod.ts", import.meta.url);
      const script = `
        import { connect } from ${JSON.stringify(module.href)};
        const { code, attempts } = await connect({ hostname: "localhost", port: ${port} }).opened.catch((e) => e);
        console.log(code, attempts.map(({ address }) => address).join());
      `;
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          `--config=${config}`,
          `--allow-net=${net.replaceAll("PORT", `${port}`)}`,
          `data:application/typescript,${encodeURIComponent(script)}`,
        ],
        env: { NO_COLOR: "1" },
      }).output();
      const output = new TextDecoder().decode(stdout);
      assertEquals(output.trim(), `connection-refused ${attempts}`.trim(), new TextDecoder().decode(stderr));
    });
  }
} else {
  test("connect() on Deno", { skip: "it needs Deno" }, () => {});
}

/** A port where nobody listens. */
async function unusedPort(): Promise<number> {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  assert(port > 0);
  return port;
}
