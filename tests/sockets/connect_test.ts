import { assert, assertEquals } from "@std/assert";
import { connect } from "../../src/sockets/connect.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { certificates, testConformance } from "./conformance.ts";

testConformance({ name: `connect() on ${runtime}`, connect, lingersInHandshake: runtime === "deno" });

// With a localAddress, Deno and Bun connect by node:net and node:tls.
if (runtime !== "node") {
  testConformance({
    name: `connect() with a localAddress on ${runtime}`,
    // node:tls on Deno (2.9.6) has one error for everything that is wrong with a certificate except its name.
    expired: runtime === "deno" ? "certificate-untrusted" : "certificate-expired",
    tcpOnly: true,
    connect(address, options) {
      const isIpv6 = "hostname" in address && address.hostname === "::1";
      return connect(address, { ...options, localAddress: isIpv6 ? "::1" : "127.0.0.1" });
    },
  });
}

test("connect() connects from localAddress on every runtime", async () => {
  await using listener = await Listener.tcp();
  const socket = connect(listener.address, { localAddress: "127.0.0.2" });
  const peer = await listener.accept();
  assertEquals(peer.raw.remoteAddress, "127.0.0.2");
  assert((await socket.opened).localAddress!.startsWith("127.0.0.2:"));
  await socket.close();
});

if (runtime === "deno") {
  for (const verify of [true, false]) {
    const how = verify ? "by Deno itself" : "by node:tls";
    test(`connect() needs only --allow-net for the one address, with TLS ${how}`, async () => {
      const { authority, good } = await certificates();
      await using listener = await Listener.tcp();
      const { hostname, port } = listener.address as { hostname: string; port: number };
      const module = new URL("../../src/sockets/mod.ts", import.meta.url);
      const tls = { caCerts: [authority.cert], verify };
      const script = `
        import { connect } from ${JSON.stringify(module.href)};
        const plain = connect(${JSON.stringify(listener.address)}, { secureTransport: "starttls" });
        const socket = plain.startTls(${JSON.stringify(tls)});
        await socket.opened;
        await socket.close();
        const other = connect({ hostname: "127.0.0.1", port: 1 });
        console.log(await other.opened.catch((error) => error.code));
      `;
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const command = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-prompt",
          "--no-check",
          `--config=${config}`,
          `--allow-net=${hostname}:${port}`,
          `data:application/typescript,${encodeURIComponent(script)}`,
        ],
        env: { NO_COLOR: "1" },
      });
      const [{ stdout, stderr }] = await Promise.all([
        command.output(),
        listener.accept().then((peer) => peer.startTls(good)).then((peer) => peer.drain(), () => {}),
      ]);
      assertEquals(new TextDecoder().decode(stdout), "not-permitted\n", new TextDecoder().decode(stderr));
    });
  }
}
