/**
 * The tests of an example with a proxy, run against a real proxy.
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { serve } from "../../src/server/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import type { PeerServer } from "../support/peer_server.ts";
import { runExample } from "../support/run_example.ts";

/** An example and its proxy. */
export interface ProxyExample {
  /** The example's file. */
  file: string;
  /** The scheme of the proxy's URL. */
  scheme: string;
  /** Why the proxy cannot be started. */
  missing: string | undefined;
  /** Starts the proxy. */
  start(): Promise<PeerServer>;
  /** The output for a wrong password. */
  refused: string;
  /** The output for a port where no server listens. */
  unreachable: string;
}

/** Declares the tests. */
export function testProxyExample(example: ProxyExample): void {
  const { file, scheme, missing, start, refused, unreachable } = example;

  test(
    `examples/${file} sends over STARTTLS with a login through a real proxy`,
    { skip: missing },
    async () => {
      const { authority, good } = await certificates();
      const users: string[] = [];
      let text = "";
      await using server = serve({ hostname: "127.0.0.1", tls: good }, {
        auth: ({ user, pass }) => (users.push(user), pass === "secret word"),
        message: async (content) => {
          for await (const chunk of content) text += new TextDecoder().decode(chunk);
        },
      });
      const { port } = await server.listening as { port: number };
      await using proxy = await start();
      const run = (pass: string, port: number) =>
        runExample(
          file,
          [
            `${scheme}://${proxy.user}:${pass}@127.0.0.1:${proxy.ports[0]}`,
            "localhost",
            `${port}`,
            "me@client.test",
            "you@server.test",
          ],
          { SMTP_USER: "ada", SMTP_PASSWORD: "secret word", SMTP_CA: authority.cert },
        );

      const sent = await run(proxy.pass, port);
      assertStringIncludes(sent.output, "accepted you@server.test: 250 ");
      assertEquals([sent.code, users, text], [0, ["ada"], "Subject: Through a proxy\r\n\r\nHello\r\n"]);

      const wrong = await run("wrong", port);
      assertStringIncludes(wrong.output, refused);
      const nobody = await run(proxy.pass, 1);
      assertStringIncludes(nobody.output, unreachable);
      assertEquals([wrong.code === 0, nobody.code === 0, users], [false, false, ["ada"]]);
    },
  );
}
