import { assertEquals } from "@std/assert";
import { connect } from "../../src/sockets/connect.ts";
import type { SocketOptions, TlsOptions } from "../../src/sockets/socket.ts";
import { runtime, test } from "../support/harness.ts";
import { opensslMissing, type OpensslServer, startOpenssl } from "../support/openssl.ts";

const skip = opensslMissing();

for (const version of ["tls1_3", "tls1_2"] as const) {
  test(`OpenSSL, ${version}, ${runtime}: its own certificate is accepted in caCerts and by its fingerprint`, {
    skip,
  }, async () => {
    await using server = await startOpenssl(version);
    for (const tls of [{ caCerts: server.cert }, { fingerprints: server.fingerprint }]) {
      assertEquals(await echo(server, tls), "EHLO reversed");
    }
  });

  test(
    `OpenSSL, ${version}, ${runtime}: who has the certificate but not its key is refused, whatever is checked`,
    { skip },
    async () => {
      await using server = await startOpenssl(version, true);
      for (const tls of [{ fingerprints: server.fingerprint }, { caCerts: server.cert }, { verify: false }]) {
        const socket = connect({ hostname: "127.0.0.1", port: server.port }, { secureTransport: "on", tls });
        const error = await socket.opened.then(() => undefined, (error) => error);
        assertEquals([tls, error?.name], [tls, "SocketError"]);
        await socket.closed.catch(() => {});
      }
    },
  );
}

/** Sends a line and returns what comes back, put right. */
async function echo({ port }: OpensslServer, tls: TlsOptions): Promise<string> {
  const options: SocketOptions = { secureTransport: "on", tls };
  const socket = connect({ hostname: "127.0.0.1", port }, options);
  await socket.writable.getWriter().write(new TextEncoder().encode("EHLO reversed\n"));
  const reader = socket.readable.getReader();
  let line = "";
  while (!line.endsWith("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    line += new TextDecoder().decode(value);
  }
  await socket.close();
  return [...line.trim()].reverse().join("");
}
