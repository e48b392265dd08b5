/** What the examples ask a proxy for, and what they make of a proxy's answers. @module */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";
import { type ExampleResult, runExample } from "../support/run_example.ts";

/** Runs an example with a proxy of ours. */
async function through(
  file: string,
  scheme: string,
  hostname: string,
  proxy: (peer: Peer) => Promise<void>,
): Promise<ExampleResult> {
  await using listener = await Listener.tcp();
  const { port } = listener.address as { port: number };
  let ended = false;
  const serving = listener.accept().then(async (peer) => {
    if (!ended) await proxy(peer).finally(() => peer.destroy());
  });
  const result = await runExample(file, [
    `${scheme}://127.0.0.1:${port}`,
    hostname,
    "25",
    "me@client.test",
    "you@server.test",
  ]);
  ended = true;
  await Promise.race([serving, Promise.resolve()]);
  return result;
}

const bytes = (...values: number[]) => Uint8Array.from(values);

/** Reads this many bytes. */
async function read(peer: Peer, length: number): Promise<number[]> {
  const got: number[] = [];
  while (got.length < length) {
    const more = await peer.read();
    if (more === null) break;
    got.push(...more);
  }
  return got;
}

const name = (text: string) => [3, text.length, ...new TextEncoder().encode(text)];

test("examples/proxy_socks5.ts names only whole IPv4 addresses as such", { timeout: 60_000 }, async () => {
  const cases: [string, number[]][] = [
    ["192.0.2.255", [1, 192, 0, 2, 255]],
    ["2001:db8::1", [4, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ["mx.test", name("mx.test")],
    ["1.2.3", name("1.2.3")],
    ["1.2.3.4.5", name("1.2.3.4.5")],
    ["01.2.3.4", name("01.2.3.4")],
    ["0x7f.1", name("0x7f.1")],
    ["1.2.3.256", name("1.2.3.256")],
    ["127", name("127")],
  ];
  await Promise.all(cases.map(async ([hostname, expected]) => {
    let request: number[] | undefined;
    const { output } = await through("proxy_socks5.ts", "socks5", hostname, async (peer) => {
      assertEquals(await read(peer, 3), [5, 1, 0]);
      await peer.write(bytes(5, 0));
      request = await read(peer, 3 + expected.length + 2);
      await peer.write(bytes(5, 2, 0, 1, 0, 0, 0, 0, 0, 0));
      await peer.drain();
    });
    // The client itself may refuse such a name; what it lets through is asked for as it is.
    if (request !== undefined) assertEquals(request, [5, 1, 0, ...expected, 0, 25], hostname);
    else assert(!["192.0.2.255", "2001:db8::1", "mx.test"].includes(hostname), output);
  }));
});

test(
  "examples/proxy_socks5.ts does not go on with a proxy that says something else",
  { timeout: 60_000 },
  async () => {
    const answers: [string, number[], string][] = [
      ["another version", [4, 0], "does not speak SOCKS5"],
      ["a login that was not offered", [5, 2], "does not accept this way to log in"],
      ["no way to log in", [5, 255], "does not accept this way to log in"],
      [
        "an address of an unknown kind",
        [5, 0, 5, 0, 0, 9, 1, 2, 3, 4, 5, 6],
        "an address of an unknown kind",
      ],
    ];
    await Promise.all(answers.map(async ([what, answer, expected]) => {
      const { output, code } = await through("proxy_socks5.ts", "socks5", "mx.test", async (peer) => {
        await peer.read();
        await peer.write(bytes(...answer));
        await peer.drain();
      });
      assertStringIncludes(output, expected, what);
      assert(code !== 0, what);
    }));
  },
);

test("examples/proxy_http_connect.ts lets no host name add a header field", { timeout: 60_000 }, async () => {
  const hosts = ["mx.test\r\nX-Evil: 1", "mx.test HTTP/1.1\r\n\r\nGET", "mx.test/a", "evil@mx.test", "a b"];
  await Promise.all(hosts.map(async (hostname) => {
    let heard = "";
    const { code } = await through("proxy_http_connect.ts", "http", hostname, async (peer) => {
      heard = new TextDecoder().decode(await peer.read() ?? undefined);
    });
    assertEquals([heard, code === 0], ["", false], JSON.stringify(hostname));
  }));
});

test(
  "examples/proxy_http_connect.ts takes no byte of the header for the server's",
  { timeout: 60_000 },
  async () => {
    const said: string[] = [];
    const { output } = await through("proxy_http_connect.ts", "http", "mx.test", async (peer) => {
      await peer.read();
      // Two bytes a character: whoever counts characters takes the end of the header for a greeting.
      const header = `HTTP/1.1 200 OK\r\nX-Name: ${
        "ü".repeat(40)
      }\r\nX: 220 evil.test ESMTP at your service for you\r\n\r\n`;
      await peer.write(header);
      await peer.write("554 mx.test No\r\n");
      said.push(new TextDecoder().decode(await peer.read() ?? undefined));
    });
    assertStringIncludes(output, "554 mx.test No");
    assertEquals(said.filter((text) => text.startsWith("EHLO")), []);

    const { output: refused } = await through("proxy_http_connect.ts", "http", "mx.test", async (peer) => {
      await peer.read();
      await peer.write("HTTP/1.1 403 \x1b[2JNo\r\n\r\n");
      await peer.drain();
    });
    assertStringIncludes(refused, "The proxy does not connect: HTTP/1.1 403 ?[2JNo");
  },
);
