import { assertEquals } from "@std/assert";
import { createSelfSigned } from "../support/certificates.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";
import { readOutput } from "../../tools/process.ts";
import { LOGIN, type MailServer, startMailServer } from "./mail_server.ts";

if (runtime !== "deno") {
  test("permissions", { skip: "only Deno has them" }, () => {});
} else {
  const skipUnix = Deno.build.os === "windows" ? "there are no unix sockets" : undefined;

  test("the client needs --allow-net=HOST:PORT and nothing else: in the clear, and with STARTTLS and a login", async () => {
    await using server = await startMailServer();
    for (const hostname of ["127.0.0.1", "localhost"]) {
      const { port } = server;
      const flags = [`--allow-net=${hostname}:${port}`];
      assertEquals(await send({ hostname, port, security: "none" }, flags), sent(false));
      assertEquals(await send({ hostname, port, ...protectedBy(server) }, flags), sent(true));
    }
    assertEquals(server.take().length, 4);
  });

  test("what goes through node:tls needs no other permission: a certificate that is not checked", async () => {
    await using server = await startMailServer();
    const { port } = server;
    const options = { hostname: "127.0.0.1", port, ...protectedBy(server), tls: { verify: false } };
    assertEquals(await send(options, [`--allow-net=127.0.0.1:${port}`]), sent(true));
  });

  test("what goes through node:tls needs no other permission: a server's own certificate", async () => {
    const own = await createSelfSigned();
    await using server = await startMailServer({ tls: own });
    const { port } = server;
    const fingerprints = await fingerprintOf(own);
    for (
      const tls of [{ caCerts: own.cert }, { fingerprints }, { caCerts: own.cert, peerCertificate: true }]
    ) {
      const options = { hostname: "127.0.0.1", port, ...protectedBy(server), tls };
      assertEquals(await send(options, [`--allow-net=127.0.0.1:${port}`]), sent(true));
    }
  });

  test("a local address needs its own permission, with port 0", async () => {
    await using server = await startMailServer({ security: "none" });
    const { port } = server;
    const options = { hostname: "127.0.0.1", port, security: "none", localAddress: "127.0.0.1" };
    assertEquals(await send(options, [`--allow-net=127.0.0.1:${port},127.0.0.1:0`]), sent(false));
  });

  test("a unix socket needs read, write and net, each for its path alone", { skip: skipUnix }, async () => {
    const folder = await Deno.makeTempDir({ prefix: "smtp-permissions-" });
    try {
      const path = `${folder}/mail.sock`;
      await using _server = await startMailServer({ path });
      const options = { path, security: "none" };
      const all = [`--allow-read=${path}`, `--allow-write=${path}`, `--allow-net=unix:${path}`];
      assertEquals(await send(options, all), sent(false));
      const needed = [
        `read access to "${path}"`,
        `write access to "${path}"`,
        `net access to "unix:${path}"`,
      ];
      for (const [i, what] of needed.entries()) {
        assertEquals(await send(options, all.toSpliced(i, 1)), refused(what, path));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  test("without the permission the client says what it needs", async () => {
    // No server has to listen there.
    for (const hostname of ["127.0.0.1", "localhost"]) {
      const target = `${hostname}:25`;
      for (const flags of [[], [`--allow-net=${hostname}:26`], ["--allow-net=192.0.2.1"]]) {
        const answer = await send({ hostname, port: 25 }, flags);
        assertEquals(answer, refused(`net access to "${target}"`, target));
      }
    }
  });

  test("a host name is permitted by its name, not by its address", async () => {
    const answer = await send({ hostname: "localhost", port: 25 }, ["--allow-net=127.0.0.1:25"]);
    assertEquals(answer, refused(`net access to "localhost:25"`, "localhost:25"));
  });

  test("the libraries that are loaded when they are met need no permission", async () => {
    assertEquals(
      await run("permitted_login.ts", {}, []),
      ["tim b913a6", "n,,n=\u00fcser,"],
    );
  });

  test("the server needs --allow-net=HOST:PORT, with port 0 for any", async () => {
    const flags = ["--allow-net=127.0.0.1:0"];
    assertEquals(await run("permitted_server.ts", { serverName: "mx.test" }, flags), { listening: true });
    assertEquals(await run("permitted_server.ts", { serverName: "mx.test" }, []), {
      name: "SocketError",
      message:
        'Cannot listen on 127.0.0.1:0: it is not permitted: Requires net access to "127.0.0.1:0", run again with the --allow-net flag',
    });
  });

  test("a local address that is not permitted is refused, and the process lives", async () => {
    const options = { hostname: "127.0.0.1", port: 25, security: "none", localAddress: "127.0.0.1" };
    const answer = await send(options, ["--allow-net=127.0.0.1:25"]);
    assertEquals(answer, refused('net access to "127.0.0.1:0"', "127.0.0.1:25"));
  });
}

function send(options: Record<string, unknown>, flags: readonly string[]): Promise<unknown> {
  return run("permitted.ts", options, flags);
}

/** Runs a program with only these permissions. */
async function run(program: string, order: unknown, flags: readonly string[]): Promise<unknown> {
  const file = new URL(`consumer/${program}`, import.meta.url).pathname;
  const args = ["run", "--no-prompt", "--no-check", ...flags, file, JSON.stringify(order)];
  return JSON.parse(await readOutput({ program: Deno.execPath(), args }));
}

function protectedBy({ ca }: MailServer) {
  return { security: "starttls", auth: LOGIN, tls: { caCerts: [ca] } };
}

function sent(secure: boolean) {
  return { accepted: ["you@server.test"], secure, authenticated: secure };
}

function refused(what: string, target: string) {
  return {
    code: "not-permitted",
    outcome: "not-sent",
    message: `Not permitted (${target}): Requires ${what}, run again with the --allow-${
      what.split(" ")[0]
    } flag`,
  };
}
