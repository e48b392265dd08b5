import { assertEquals, assertMatch } from "@std/assert";
import { createHash, createHmac, pbkdf2Sync, X509Certificate } from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import { channelBindingOf } from "../../src/sasl/channel_binding.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { readOptions } from "../../src/client/options.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { certificates } from "../sockets/conformance.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const PASS = "pencil";
const LABEL = "EXPORTER-Channel-Binding";

/** What a server binds a login to, and what it saw of one. */
interface Seen {
  mechanism?: string;
  header?: string;
}

/** How the server is. */
interface ServerOptions {
  /** The latest version of TLS that it speaks. */
  maxVersion?: tls.SecureVersion;
  /** Whether it goes over to TLS by STARTTLS. */
  starttls?: boolean;
  /** Stands in for somebody between the two, who has other connections on both sides. */
  otherConnection?: boolean;
}

/** Runs a server that takes SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, made with nothing of ours. */
async function withServer(
  { maxVersion = "TLSv1.3", starttls = false, otherConnection = false }: ServerOptions,
  body: (options: SmtpClientOptions, seen: Seen) => Promise<void>,
): Promise<void> {
  const { authority, good } = await certificates();
  const secureContext = tls.createSecureContext({ ...good, maxVersion });
  const seen: Seen = {};
  const sockets: net.Socket[] = [];
  const server = net.createServer((raw) => {
    sockets.push(raw);
    const secure = () => {
      const socket = new tls.TLSSocket(raw, { isServer: true, secureContext });
      sockets.push(socket);
      converse(socket, (line, state) => onLine(socket, line, state));
      return socket;
    };
    if (!starttls) {
      return void secure().once("secure", function (this: net.Socket) {
        this.write("220 mx.test\r\n");
      });
    }
    raw.write("220 mx.test\r\n");
    converse(raw, (line) => {
      if (line !== "STARTTLS") return "250-mx.test\r\n250 STARTTLS";
      raw.write("220 go\r\n");
      raw.removeAllListeners("data");
      secure();
      return undefined;
    });
  });

  function bindingOf(type: string | undefined, socket: tls.TLSSocket): Uint8Array {
    if (type === undefined) return new Uint8Array();
    if (otherConnection) return new Uint8Array(32);
    if (type === "tls-exporter") return socket.exportKeyingMaterial(32, LABEL, new Uint8Array() as never);
    return createHash("sha256").update(new X509Certificate(good.cert).raw).digest();
  }

  function onLine(socket: tls.TLSSocket, line: string, state: Record<string, string>): string {
    if (line.startsWith("EHLO")) return "250-mx.test\r\n250 AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    if (line === "QUIT") return "221 bye";
    if (line.startsWith("AUTH ")) {
      const [, mechanism, initial] = line.split(" ");
      const text = atob(initial!);
      seen.mechanism = mechanism!;
      seen.header = text.slice(0, text.indexOf(",,") + 2);
      state["bare"] = text.slice(seen.header.length);
      state["first"] = `${state["bare"].slice(state["bare"].indexOf("r="))}Server,s=${btoa("salt")},i=4096`;
      return `334 ${btoa(state["first"])}`;
    }
    if (line === "") return "235 2.7.0 Welcome";
    const message = atob(line);
    const withoutProof = message.slice(0, message.lastIndexOf(",p="));
    const hmac = (key: Uint8Array, text: string) => createHmac("sha256", key).update(text).digest();
    const salted = pbkdf2Sync(PASS, "salt", 4096, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const transcript = `${state["bare"]},${state["first"]},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), transcript);
    const proof = btoa(String.fromCharCode(...clientKey.map((byte, i) => byte ^ signature[i]!)));
    const type = seen.header!.match(/^p=([^,]+)/)?.[1];
    const bound = btoa(seen.header + String.fromCharCode(...bindingOf(type, socket)));
    if (!withoutProof.startsWith(`c=${bound},`) || !message.endsWith(`,p=${proof}`)) return "535 5.7.8 No";
    const server = hmac(hmac(salted, "Server Key"), transcript);
    return `334 ${btoa(`v=${btoa(String.fromCharCode(...server))}`)}`;
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body({
      hostname: "localhost",
      port: (server.address() as net.AddressInfo).port,
      security: starttls ? "starttls" : "tls",
      tls: { caCerts: [authority.cert] },
      auth: { user: "ada", pass: PASS },
    }, seen);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

function converse(
  socket: net.Socket,
  answer: (line: string, state: Record<string, string>) => string | undefined,
): void {
  const state: Record<string, string> = {};
  let heard = "";
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    heard += bytes.toString("latin1");
    for (let end; (end = heard.indexOf("\r\n")) >= 0;) {
      const line = heard.slice(0, end);
      heard = heard.slice(end + 2);
      const reply = answer(line, state);
      if (reply !== undefined) socket.write(`${reply}\r\n`);
    }
  });
}

/** With this, Deno shows the certificate, too. */
function withCertificate(options: SmtpClientOptions): SmtpClientOptions {
  return { ...options, tls: { ...options.tls, peerCertificate: true } };
}

/** Deno's node:tls (2.9.6) exports no keying material. */
const withTls13 = runtime === "deno" ? "tls-server-end-point" : "tls-exporter";

for (const starttls of [false, true]) {
  for (const [maxVersion, type] of [["TLSv1.3", withTls13], ["TLSv1.2", "tls-server-end-point"]] as const) {
    const how = `${maxVersion}${starttls ? ", after STARTTLS" : ""}`;
    test(`SmtpClient binds its login to the connection by ${type}, with ${how}`, () =>
      withServer({ maxVersion, starttls }, async (options, seen) => {
        await using client = await SmtpClient.connect(withCertificate(options));
        assertEquals(client.info.tls?.protocol, maxVersion);
        assertMatch(client.info.tls?.cipher ?? "", /^TLS_/);
        assertEquals(seen, { mechanism: "SCRAM-SHA-256-PLUS", header: `p=${type},,` });
      }));
  }

  test(`SmtpClient is refused when its login comes from another connection${starttls ? ", after STARTTLS" : ""}`, () =>
    withServer({ starttls, otherConnection: true }, async (options) => {
      await rejectsWith("auth-failed", () => SmtpClient.connect(withCertificate(options)));
    }));
}

test("SmtpClient binds its login to a connection whose certificate was accepted by its fingerprint", () =>
  withServer({ maxVersion: "TLSv1.2" }, async (options, seen) => {
    const tls = { fingerprints: await fingerprintOf((await certificates()).good) };
    await using _ = await SmtpClient.connect({ ...options, tls });
    assertEquals(seen, { mechanism: "SCRAM-SHA-256-PLUS", header: "p=tls-server-end-point,," });
  }));

test("SmtpClient logs in without a binding where the runtime shows nothing to make one of", () =>
  withServer({}, async (options, seen) => {
    await using _ = await SmtpClient.connect(options);
    const bound = { mechanism: "SCRAM-SHA-256-PLUS", header: "p=tls-exporter,," };
    assertEquals(seen, runtime === "deno" ? { mechanism: "SCRAM-SHA-256", header: "n,," } : bound);
  }));

test("channelBindingOf() knows none without TLS, nor where nothing is known of it", async () => {
  assertEquals(await channelBindingOf({}), undefined);
  assertEquals(await channelBindingOf({ protocol: "TLSv1.3" }), undefined);
});

test("channelBindingOf() exports nothing with TLS 1.2, where it may be the same for two connections", async () => {
  const { good } = await certificates();
  const exportKeyingMaterial = () => {
    throw new Error("Not with TLS 1.2");
  };
  const peerCertificate = new Uint8Array(new X509Certificate(good.cert).raw);
  const binding = await channelBindingOf({ protocol: "TLSv1.2", exportKeyingMaterial, peerCertificate });
  assertEquals(binding?.type, "tls-server-end-point");
});

test("readOptions() has the certificate shown where a mechanism with -PLUS is asked for by name", () => {
  const auth = { user: "tim", pass: "correct horse" };
  for (
    const [mechanisms, tls, expected] of [
      [["SCRAM-SHA-256-plus", "PLAIN"], {}, true],
      [["SCRAM-SHA-256-PLUS"], { peerCertificate: false }, false],
      [["SCRAM-SHA-256"], {}, undefined],
      [undefined, {}, undefined],
    ] as const
  ) {
    const settings = readOptions({ auth: mechanisms === undefined ? auth : { ...auth, mechanisms }, tls });
    assertEquals(settings.tls.peerCertificate, expected);
  }
});
