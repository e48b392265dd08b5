import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import net from "node:net";
import type { Connection } from "../../src/sockets/connection.ts";
import { ConnectionSocket } from "../../src/sockets/connection_socket.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { Lookup } from "../../src/sockets/lookup.ts";
import { openNode } from "../../src/sockets/node.ts";
import { settle, type SocketSettings } from "../../src/sockets/settings.ts";
import type { Socket, SocketAddress, SocketOptions } from "../../src/sockets/socket.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { assertFails, certificates } from "./conformance.ts";

type OpenWith = (settings: SocketSettings, signal: AbortSignal, lookup: Lookup) => Promise<Connection>;

/** The adapters of this runtime that look names up. */
const adapters: Record<string, OpenWith> = { openNode };
if (runtime === "bun") adapters["openBun"] = (await import("../../src/sockets/bun.ts")).openBun;
if (runtime === "deno") adapters["openDeno"] = (await import("../../src/sockets/deno.ts")).openDeno;

for (const [name, open] of Object.entries(adapters)) {
  /** A socket to a host that has just these addresses. */
  const connectTo = (
    addresses: string[],
    port: number,
    options: SocketOptions = {},
    hostname = "localhost",
  ) => {
    const settings = settle({ hostname, port }, options);
    const lookup = () => Promise.resolve(addresses);
    return new ConnectionSocket((signal) => open(settings, signal, lookup), settings);
  };
  const where = `${name}() on ${runtime}`;

  test(`${where} goes on to the next address of a host when one refuses`, async () => {
    await using listener = await Listener.tcp("127.0.0.5");
    const { port } = listener.address as { port: number };
    const socket = connectTo(["127.0.0.3", "::1", "127.0.0.5", "127.0.0.6"], port);
    await listener.accept();
    assertEquals((await socket.opened).remoteAddress, `127.0.0.5:${port}`);
    await socket.close();
  });

  test(`${where} checks the certificate for the host name, whatever the address`, async () => {
    const { authority, otherName } = await certificates();
    await using listener = await Listener.tcp("127.0.0.5");
    const { port } = listener.address as { port: number };
    const tls = { caCerts: [authority.cert] };
    for (const hostname of name === "openDeno" ? ["localhost"] : ["mx.test", "other.test"]) {
      const socket = connectTo(["127.0.0.3", "127.0.0.5"], port, { secureTransport: "on", tls }, hostname);
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
    const socket = connectTo(["127.0.0.3", "127.0.0.5"], port);
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
    const error = await assertFails(connectTo(["127.0.0.1"], port).opened, "connection-refused");
    assertStringIncludes(error.message, `Connection refused (localhost:${port} at 127.0.0.1): `);
    assertEquals(error.attempts.map(({ address }) => address), ["127.0.0.1"]);
    assertEquals(error.attempts[0]!.error.cause, error.cause);
  });

  test(`${where} gives a race up with its signal`, async () => {
    const controller = new AbortController();
    const settings = settle({ hostname: "localhost", port: await unusedPort() }, {
      signal: controller.signal,
    });
    const lookup: Lookup = () => (controller.abort(new Error("enough")), Promise.resolve(["127.0.0.3"]));
    const socket = new ConnectionSocket((signal) => open(settings, signal, lookup), settings);
    await assertFails(socket.opened, "aborted");
  });

  test(`${where} tries nothing where an address is given`, async () => {
    const settings = settle({ hostname: "127.0.0.1", port: await unusedPort() });
    const never: Lookup = () => Promise.reject(new Error("Nobody asks"));
    const socket = new ConnectionSocket((signal) => open(settings, signal, never), settings);
    const error = await assertFails(socket.opened, "connection-refused");
    assertEquals(error.attempts, []);
  });
}

test("openNode() tries the addresses of the family of localAddress alone", async () => {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  const to = (...addresses: string[]): Socket => {
    const settings = settle({ hostname: "localhost", port }, { localAddress: "127.0.0.2" });
    const lookup = () => Promise.resolve(addresses);
    return new ConnectionSocket((signal) => openNode(settings, signal, lookup), settings);
  };
  const socket = to("::1", "127.0.0.1");
  const peer = await listener.accept();
  assertEquals([(await socket.opened).remoteAddress, peer.raw.remoteAddress], [
    `127.0.0.1:${port}`,
    "127.0.0.2",
  ]);
  await socket.close();
  const error = await assertFails(to("::1").opened, "unreachable");
  assertStringIncludes(error.message, "The host has no IPv4 address");
});

test(`connect() on ${runtime} has keep-alive on, unless it is told otherwise`, async () => {
  await using listener = await Listener.tcp();
  for (const [options, expected] of [[{}, true], [{ keepAlive: false }, false]] as const) {
    assertEquals(await keepAliveOf(listener.address, options), expected);
  }
});

/** What the runtime is told about keep-alive: the system's own word cannot be had. */
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
  const { connectDenoTcp } = await import("../../src/sockets/deno_tcp.ts");

  test("connectDenoTcp() goes on to the next address when one does not answer", async () => {
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const { port } = silent.addr as Deno.NetAddr;
    // A backlog of 1 takes 2 connections; the SYN of the third gets no answer.
    const waiting = await Promise.all([1, 2].map(() => Deno.connect({ hostname: "127.0.0.1", port })));
    using other = Deno.listen({ hostname: "127.0.0.2", port });
    const { signal } = new AbortController();
    const lookup = () => Promise.resolve(["127.0.0.1", "127.0.0.2"]);
    using conn = await connectDenoTcp({ hostname: "localhost", port }, signal, lookup);
    assertEquals(conn.remoteAddr.hostname, "127.0.0.2");
    (await other.accept()).close();
    for (const conn of waiting) conn.close();
  });

  test("connectDenoTcp() does not look up what was found, was not, or may not be known", async () => {
    let asked = 0;
    const lookup = () => (asked++, Promise.resolve(["127.0.0.1"]));
    const { signal } = new AbortController();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    using _ = await connectDenoTcp({ hostname: "localhost", port }, signal, lookup);
    const nowhere = connectDenoTcp({ hostname: "does-not-exist.invalid", port }, signal, lookup);
    assertStringIncludes((await nowhere.catch((error) => error)).message, "lookup");
    assertEquals(asked, 0);
    (await listener.accept()).close();
  });

  for (
    const [net, attempts] of [["localhost:PORT", ""], ["localhost,127.0.0.1:PORT", "127.0.0.1"]] as const
  ) {
    test(`connect() to a name that refuses needs no more than --allow-net=${net}, and asks nobody`, async () => {
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
  test("connectDenoTcp()", { skip: "it needs Deno" }, () => {});
}

/** A port where nobody listens. */
async function unusedPort(): Promise<number> {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  assert(port > 0);
  return port;
}
