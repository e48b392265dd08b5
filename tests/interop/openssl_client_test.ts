import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { serve } from "../../src/server/mod.ts";
import { createAuthority, type KeyPair } from "../support/certificates.ts";
import { runtime, test } from "../support/harness.ts";
import { opensslMissing } from "../support/openssl.ts";
import { runOpensslClient } from "../support/openssl_client.ts";
import { makePeerFolder } from "../support/peer_process.ts";

const skip = opensslMissing();
const authority = await createAuthority("Clients CA");
const servers = await createAuthority("Servers CA");
const stranger = await createAuthority("Strangers CA");
const own = await servers.issue();

/** Makes a folder with a client's certificate, and gives the arguments to use it. */
async function withPair(
  pair: KeyPair,
  body: (args: string[], sessionFile: string) => Promise<void>,
): Promise<void> {
  const folder = makePeerFolder("openssl");
  try {
    const file = join(folder, "client.pem");
    writeFileSync(file, `${pair.cert}\n${pair.key}\n`);
    await body(["-cert", file, "-key", file], join(folder, "session.pem"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const VERSIONS = ["-tls1_2", "-tls1_3"];
const TRANSPORTS = { tls: [], starttls: ["-starttls", "smtp", "-name", "client.test"] } as const;

for (const version of VERSIONS) {
  for (const [security, transport] of Object.entries(TRANSPORTS)) {
    const how = `${security}, ${version}, ${runtime}`;

    test(
      `OpenSSL's client comes back with the session of a refused certificate, and is refused again (${how})`,
      {
        skip,
      },
      async () => {
        for (const clientCertificate of ["required", "optional"] as const) {
          const asked: string[] = [];
          await using server = serve({
            security: security as "tls" | "starttls",
            tls: { ...own, caCerts: authority.cert, clientCertificate },
            onError: () => {},
          }, { greet: (name, { secure }) => void (secure && asked.push(name)) });
          const { port } = await server.listening;
          const pair = await stranger.issue({ names: ["client.test"], usage: "client" });
          await withPair(pair, async (args, sessionFile) => {
            const visit = (more: string[]) =>
              runOpensslClient({
                port,
                args: [version, "-quiet", ...transport, ...args, ...more],
                dialogue: [["", "EHLO evil.test\r\nMAIL FROM:<a@example.com>\r\nQUIT\r\n"]],
              });
            await visit(["-sess_out", sessionFile]);
            assertEquals(asked, []);
            if (existsSync(sessionFile)) await visit(["-sess_in", sessionFile]);
            assertEquals(asked, []);
          });
        }
      },
    );

    test(
      `OpenSSL's client comes back with the session of a good certificate, and is served as its owner (${how})`,
      {
        skip,
      },
      async () => {
        const subjects: (string | undefined)[] = [];
        await using server = serve({
          security: security as "tls" | "starttls",
          tls: { ...own, caCerts: authority.cert },
        }, { mail: (_, { clientCertificate }) => void subjects.push(clientCertificate?.subject) });
        const { port } = await server.listening;
        const pair = await authority.issue({ names: ["client.test"], usage: "client" });
        await withPair(pair, async (args, sessionFile) => {
          const visit = (more: string[]) =>
            runOpensslClient({
              port,
              args: [version, "-quiet", ...transport, ...args, ...more],
              dialogue: [["", "EHLO client.test\r\nMAIL FROM:<a@example.com>\r\nQUIT\r\n"]],
            });
          await visit(["-sess_out", sessionFile]);
          await visit(existsSync(sessionFile) ? ["-sess_in", sessionFile] : []);
        });
        assertEquals(subjects, ["CN=client.test", "CN=client.test"]);
      },
    );
  }

  test(
    `OpenSSL's client sees which authorities are asked for, and tls.cert as it is (${version}, ${runtime})`,
    {
      skip,
    },
    async () => {
      const chain = { cert: `${own.cert}\n${servers.cert}\n`, key: own.key };
      await using server = serve({
        security: "tls",
        tls: { ...chain, caCerts: [authority.cert, stranger.cert] },
      });
      const { port } = await server.listening;
      const pair = await authority.issue({ names: ["client.test"], usage: "client" });
      await withPair(pair, async (args) => {
        const output = await runOpensslClient({
          port,
          args: [version, "-showcerts", ...args],
          dialogue: [["220 localhost ESMTP", "Q\n"]],
        });
        const sent = [...output.matchAll(/^ \d s:(.*)$/gm)].map((match) => match[1]);
        // Deno (2.9.6) sends all of caCerts with it, and cannot be told not to.
        const more = runtime === "deno" ? ["CN = Clients CA", "CN = Strangers CA"] : [];
        assertEquals(sent, ["CN = localhost", "CN = Servers CA", ...more]);
        const asked = /^Acceptable client certificate CA names\n((?:CN = .*\n)*)/m.exec(output)![1];
        assertEquals(asked, "CN = Clients CA\nCN = Strangers CA\n");
      });
    },
  );
}

test(`OpenSSL's client cannot renegotiate under TLS 1.2 (${runtime})`, { skip }, async () => {
  for (const caCerts of [undefined, authority.cert]) {
    await using server = serve({
      security: "tls",
      tls: { ...own, ...(caCerts !== undefined && { caCerts }) },
    });
    const { port } = await server.listening;
    const pair = await authority.issue({ names: ["client.test"], usage: "client" });
    await withPair(pair, async (args) => {
      const output = await runOpensslClient({
        port,
        args: ["-tls1_2", ...args],
        dialogue: [["220 localhost ESMTP", "R\n"], ["RENEGOTIATING", "NOOP\r\n"]],
        until: "250 2.0.0 Ok", // it would go on
      });
      assertMatch(output, /no renegotiation/i);
      assert(!output.includes("250 2.0.0 Ok"));
    });
  }
});
