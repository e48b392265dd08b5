import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Reply } from "../../src/core/reply.ts";
import { serve, type ServeOptions } from "../../src/server/mod.ts";
import type { SmtpClientOptions } from "../../mod.ts";
import { der, type LeafOptions } from "../support/certificates.ts";
import type { SocketOptions, TlsOptions } from "../../src/sockets/socket.ts";
import { certificates } from "../sockets/conformance.ts";
import { after, test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";
import type { Order } from "./worker.ts";
import { folder, Workerd } from "./workerd.ts";

const TRANSPORTS = ["off", "on", "starttls"] as const;

if (folder === undefined) {
  test("Cloudflare Workers", { skip: "deno task test:workers runs it in workerd" }, () => {});
} else {
  const { authority, good, otherName, expired } = await certificates();
  const workerd = await Workerd.start(authority.cert);
  after(() => workerd[Symbol.asyncDispose]());

  const testWorker = (what: string, body: (workerd: Workerd) => Promise<void>) =>
    test(`workerd: ${what}`, () => body(workerd));

  testWorker("workerd has no globals of another runtime", async (workerd) => {
    const address = { hostname: "localhost", port: 1 };
    assertEquals(await workerd.run({ scenario: "globals", address }), { value: [] });
  });

  testWorker("a mail goes out in the clear, after STARTTLS with a login, and over TLS", async (workerd) => {
    const auth = { user: "ada", pass: "secret" };
    const accepted = {
      value: { accepted: ["you@server.test"], rejected: [], reply: "250 2.0.0 Ok: queued as W-1" },
    };
    const plain = await mail(workerd, {}, { security: "none" });
    assertEquals(plain.answer, accepted);
    assertEquals(plain.text, "Subject: Hi\r\n\r\n.Hello\r\n");
    const starttls = await mail(workerd, { tls: good }, { security: "starttls", auth });
    assertEquals([starttls.answer, starttls.users], [accepted, ["ada"]]);
    const implicit = await mail(workerd, { tls: good, security: "tls" }, { security: "tls", auth });
    assertEquals([implicit.answer, implicit.users], [accepted, ["ada"]]);
  });

  testWorker(
    "a pool in the scope of the module serves one request after the other, and many at once",
    async (workerd) => {
      let connections = 0;
      const taken: string[] = [];
      await using server = serve({ hostname: "127.0.0.1", serverName: "mx.test" }, {
        connect: () => void connections++,
        message: (_, { envelope }) => void taken.push(envelope.to[0]!),
      });
      const { port } = await server.listening;
      const pool = { hostname: "localhost", port: port!, security: "none" } as const;
      const send = (...names: string[]) => {
        const to = names.map((name) => `${name}@server.test`);
        return workerd.run({ scenario: "pool", address: { hostname: "localhost", port: 1 }, pool, to });
      };
      assertEquals(await send("1", "2"), { value: ["1@server.test", "2@server.test"] });
      assertEquals(connections, 1); // the calls of one turn share a connection
      assertEquals(await send("3"), { value: ["3@server.test"] });
      assertEquals(connections, 2); // a connection belongs to its request
      const names = Array.from({ length: 12 }, (_, i) => [`a${i}`, `b${i}`]);
      const answers = await Promise.all(names.map((pair) => send(...pair)));
      assertEquals(answers, names.map((pair) => ({ value: pair.map((name) => `${name}@server.test`) })));
      assertEquals([connections, taken.length, new Set(taken).size], [14, 27, 27]);
      const all = Array.from({ length: 50 }, (_, i) => `all${i + 10}@server.test`);
      const order = {
        scenario: "pool",
        address: { hostname: "localhost", port: 1 },
        pool,
        to: all,
        size: 1,
      } as const;
      assertEquals(await workerd.run({ ...order, to: [...all] }), { value: all });
      assertEquals([connections, taken.length], [19, 77]); // those of a sendAll() share five
    },
  );

  testWorker("a refused recipient and a refused login are reported", async (workerd) => {
    const to = ["you@server.test", "nobody@server.test"];
    const { answer } = await mail(workerd, {}, { security: "none" }, { to });
    const { accepted, rejected } = answer.value as { accepted: unknown; rejected: unknown };
    assertEquals([accepted, rejected], [["you@server.test"], [["nobody@server.test", 550]]]);
    const refused = await mail(workerd, { tls: good }, {
      security: "starttls",
      auth: { user: "ada", pass: "wrong" },
    });
    assertStringIncludes(refused.answer.error!.message, "535");
  });

  testWorker("5 MB from a stream arrive, in the clear and over TLS", async (workerd) => {
    const size = 5_000_000;
    for (const security of ["none", "starttls"] as const) {
      const result = await mail(workerd, { tls: good, maxMessageSize: 10_000_000 }, { security }, { size });
      assertEquals((result.answer.value as { accepted: unknown }).accepted, ["you@server.test"]);
      assert(result.size >= size && result.size <= size + 2, `${result.size} bytes`);
    }
  });

  testWorker(
    "a bad certificate is refused before anything is sent, and not told from other failures",
    async (workerd) => {
      for (const keys of [otherName, expired]) {
        for (const transport of ["on", "starttls"] as const) {
          await using listener = await Listener.tcp();
          const secured = listener.accept().then((peer) => peer.startTls(keys)).then(
            (p) => p.drain(),
            () => {},
          );
          const { error } = await workerd.run({
            scenario: transport === "on" ? "open" : "startTls",
            address: byName(listener),
            ...(transport === "on" && { options: { secureTransport: "on" as const } }),
          });
          const code = transport === "on" ? "network" : "tls-failed";
          assertEquals([error?.name, error?.code], ["SocketError", code], error?.message);
          assertStringIncludes(error!.message, "do not say which");
          await secured;
        }
        const { answer, size } = await mail(workerd, { tls: keys }, { security: "starttls" });
        assertEquals([answer.error?.outcome, size], ["not-sent", 0]);
      }
    },
  );

  testWorker("a silent server is given up in time", async (workerd) => {
    await using listener = await Listener.tcp();
    const { port } = byName(listener);
    const answer = await workerd.run({
      scenario: "send",
      address: byName(listener),
      client: { hostname: "localhost", port, security: "none", timeouts: { greeting: 100 } },
    });
    assertEquals(answer.error?.code, "timeout", answer.error?.message);
    assertEquals(answer.error?.outcome, "not-sent");
  });

  testWorker("a connection that fails says so, though not why", async (workerd) => {
    const listener = await Listener.tcp();
    const address = byName(listener);
    await listener[Symbol.asyncDispose]();
    for (const secureTransport of TRANSPORTS) {
      const { error } = await workerd.run({ scenario: "open", address, options: { secureTransport } });
      assertEquals([error?.name, error?.code], ["SocketError", "network"], error?.message);
    }
  });

  testWorker("what the platform cannot honour is a TypeError that says so", async (workerd) => {
    const { client } = await certificates();
    const address = { hostname: "localhost", port: 1 };
    const refused: [string, SocketOptions][] = [
      ["tls.caCerts", { secureTransport: "on", tls: { caCerts: [authority.cert] } }],
      ["tls.cert", { secureTransport: "on", tls: { cert: client.cert, key: client.key } }],
      ["tls.verify", { secureTransport: "starttls", tls: { verify: false } }],
      ["tls.alpnProtocols", { secureTransport: "on", tls: { alpnProtocols: ["smtp"] } }],
      ["tls.serverName", { secureTransport: "on", tls: { serverName: "mx.test" } }],
      ["localAddress", { localAddress: "127.0.0.2" }],
      ["keepAlive", { keepAlive: false }],
    ];
    for (const [option, options] of refused) {
      const { error } = await workerd.run({ scenario: "open", address, options });
      assertEquals(error?.message.includes(`cannot honour ${option}:`), true, error?.message);
      assertEquals([error?.name, error?.isTypeError], ["TypeError", true]);
    }
    const { error } = await workerd.run({ scenario: "open", address: { path: "/tmp/none.sock" } });
    assertEquals(error?.message.includes("cannot honour path:"), true, error?.message);
    await using listener = await Listener.tcp();
    const late = await workerd.run({
      scenario: "startTls",
      address: byName(listener),
      options: { tls: { serverName: "mx.test" } },
    });
    assertEquals(late.error?.name, "TypeError");
  });

  testWorker("a name that is none is refused before anything is opened", async (workerd) => {
    for (const hostname of [".", "mx.test..", "", "*.mx.test", "mx.test,other.test", "127.1"]) {
      const { error } = await workerd.run({ scenario: "open", address: { hostname, port: 1 } });
      assertEquals([error?.name, error?.isTypeError], ["TypeError", true], hostname);
    }
  });

  testWorker("the platform takes a certificate only for whom its alternative names are", async (workerd) => {
    const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
    const forged: Record<string, LeafOptions> = {
      "two names as one": { san: [der(0x30, der(0x82, bytes("evil.test, DNS:localhost")))] },
      "a URI": { san: [der(0x30, der(0x86, bytes("https://localhost/, DNS:localhost")))] },
      "a mailbox": { san: [der(0x30, der(0x81, bytes("me@localhost, DNS:localhost")))] },
      "a NUL": { san: [der(0x30, der(0x82, bytes("localhost\0.evil.test")))] },
      "a wildcard": { san: [der(0x30, der(0x82, bytes("*")))] },
      "a common name": { san: [], commonName: "localhost" },
    };
    for (const [what, leaf] of Object.entries(forged)) {
      for (const issuer of [authority, await authority.constrain(["evil.test"])]) {
        // The platform takes a common name where there are no other names, and does not show the certificate.
        const isTaken = leaf.commonName === "localhost" && issuer === authority;
        const keys = await issuer.issue({ commonName: "evil.test", ...leaf });
        for (const transport of isTaken ? ["on"] : ["on", "starttls"]) {
          await using listener = await Listener.tcp();
          const accepted = listener.accept();
          const secured = accepted.then((peer) => peer.startTls(keys)).then((p) => p.drain(), () => {});
          const { error } = await workerd.run({
            scenario: transport === "on" ? "open" : "startTls",
            address: byName(listener),
            ...(transport === "on" && { options: { secureTransport: "on" as const } }),
          });
          assertEquals(error?.name, isTaken ? undefined : "SocketError", `${what}, with "${transport}"`);
          await secured;
        }
      }
    }
  });

  testWorker(
    "REQUIRETLS goes by what the platform has checked, and nothing turns the check off",
    async (workerd) => {
      const serve = async (listener: Listener): Promise<string> => {
        let peer = await listener.accept();
        await peer.write("220 mx.test\r\n");
        let heard = "";
        for (let bytes; (bytes = await peer.read()) !== null;) {
          const command = new TextDecoder().decode(bytes);
          heard += command;
          if (command.startsWith("EHLO")) {
            await peer.write(
              `250-mx.test\r\n250 ${heard.includes("STARTTLS") ? "REQUIRETLS" : "STARTTLS"}\r\n`,
            );
          } else await peer.write("250 ok\r\n");
          if (command.startsWith("STARTTLS")) peer = await peer.startTls(good);
        }
        return heard;
      };
      const run = async (tls: TlsOptions | undefined) => {
        await using listener = await Listener.tcp();
        const serving = serve(listener);
        const address = byName(listener);
        const client = { ...address, security: "starttls" as const };
        const answer = await workerd.run({
          scenario: "protect",
          address,
          client,
          ...(tls && { options: { tls } }),
        });
        return { ...answer, heard: await serving };
      };
      for (const tls of [undefined, {}, { serverName: "localhost" }]) {
        const { value, error, heard } = await run(tls);
        assertEquals(error, undefined);
        assertEquals(value, { verifiedBy: "name" });
        assertStringIncludes(heard, "MAIL FROM:<me@client.test> REQUIRETLS");
      }
      for (const tls of [{ verify: false }, { serverName: "mx.test" }, { peerCertificate: true }]) {
        const { error, heard } = await run(tls);
        assertEquals([error?.name, error?.isTypeError], ["TypeError", true], error?.message);
        assert(!heard.includes("STARTTLS"), heard);
      }
    },
  );

  testWorker("startTls() makes a new socket, and the old one is done", async (workerd) => {
    await using listener = await Listener.tcp();
    const accepted = listener.accept().then((peer) => peer.startTls(good)).then(async (peer) => {
      assertEquals(await peer.readText(6), "EHLO\r\n");
      await peer.write("220 mx.test\r\n");
      await peer.drain();
    });
    const { value, error } = await workerd.run({ scenario: "startTls", address: byName(listener) });
    assertEquals(error, undefined);
    assertEquals(value, { upgraded: true, secureTransport: "on" });
    await accepted;
  });

  for (const transport of TRANSPORTS) {
    const how = transport === "off" ? "in the clear" : `with "${transport}"`;
    const options: SocketOptions = { secureTransport: transport };

    const secure = async (base: Peer): Promise<Peer> => {
      if (transport === "off") return base;
      const peer = await base.startTls(good);
      if (transport === "starttls") assertEquals(await peer.readText(6), "EHLO\r\n");
      return peer;
    };
    const accept = async (listener: Listener): Promise<Peer> => secure(await listener.accept());

    testWorker(`8 MiB come back intact, ${how}`, async (workerd) => {
      await using listener = await Listener.tcp();
      const running = workerd.run({
        scenario: "echo",
        address: byName(listener),
        options: { ...options, allowHalfOpen: true },
      });
      const peer = await accept(listener);
      const chunk = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7919) >>> 3);
      const count = Math.ceil(8 * 1024 * 1024 / chunk.length);
      const send = async () => {
        for (let i = 0; i < count; i++) await peer.write(chunk);
        await peer.end();
      };
      const check = async () => {
        let offset = 0;
        for (let part = await peer.read(); part !== null; part = await peer.read()) {
          for (const byte of part) {
            if (byte !== chunk[offset++ % chunk.length]) throw new Error(`Byte ${offset} is wrong`);
          }
        }
        assertEquals(offset, count * chunk.length);
      };
      await Promise.all([send(), check()]);
      assertEquals(await running, { value: count * chunk.length });
    });

    testWorker(`close() ends a read under way, ${how}`, async (workerd) => {
      await using listener = await Listener.tcp();
      const running = workerd.run({ scenario: "closeReading", address: byName(listener), options });
      const peer = await accept(listener);
      await peer.write("220 mx.test\r\n");
      assertEquals(await running, { value: true });
      await peer.drain();
    });

    testWorker(`a connection that is cut, or ends below TLS, ends, ${how}`, async (workerd) => {
      for (const cut of [true, false]) {
        await using listener = await Listener.tcp();
        const running = workerd.run({ scenario: "read", address: byName(listener), options });
        const base = await listener.accept();
        const peer = await secure(base);
        await peer.write("220 mx.test\r\n");
        assertEquals(await peer.readText(1), "!"); // an RST would throw away what was not read
        if (cut) peer.reset();
        else await base.end();
        assertEquals(await running, { value: 13 });
      }
    });

    testWorker(`close() stops connecting, ${how}`, async (workerd) => {
      await using listener = await Listener.tcp();
      const { error } = await workerd.run({ scenario: "closeOpening", address: byName(listener), options });
      assertEquals([error?.name, error?.code], ["SocketError", "closed"], error?.message);
    });
  }

  for (const secureTransport of ["on", "starttls"] as const) {
    testWorker(
      `a signal gives up a handshake that is never answered, with "${secureTransport}"`,
      async (workerd) => {
        await using listener = await Listener.tcp();
        const { error } = await workerd.run({
          scenario: "abortHandshake",
          address: byName(listener),
          options: { secureTransport },
        });
        assertEquals([error?.name, error?.code], ["SocketError", "aborted"], error?.message);
      },
    );
  }
}

function byName(listener: Listener): { hostname: string; port: number } {
  return { hostname: "localhost", port: (listener.address as { port: number }).port };
}

/** Sends a mail from workerd to a server that runs here. */
async function mail(
  workerd: Workerd,
  options: Omit<ServeOptions, "hostname">,
  client: Partial<SmtpClientOptions>,
  order: Partial<Order> = {},
) {
  let size = 0;
  let text = "";
  const users: string[] = [];
  await using server = serve(options, {
    auth: ({ user, pass }) => (users.push(user), user === "ada" && pass === "secret"),
    rcpt: ({ address }) => {
      if (address.startsWith("nobody@")) throw new Reply(550, "No such user", { enhancedCode: "5.1.1" });
    },
    message: async (content) => {
      for await (const chunk of content) {
        size += chunk.length;
        if (text.length < 1_000) text += new TextDecoder().decode(chunk);
      }
      return new Reply(250, "Ok: queued as W-1", { enhancedCode: "2.0.0" });
    },
  });
  const { port } = await server.listening as { port: number };
  const answer = await workerd.run({
    scenario: "send",
    address: { hostname: "localhost", port },
    client: { hostname: "localhost", port, clientName: "worker.test", ...client } as
      & Order["client"]
      & object,
    ...order,
  });
  return { answer, size, text, users };
}
