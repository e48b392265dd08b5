/** What docs/coming-from-emailjs-smtp-client.md says, shown. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  SmtpClient,
  type SmtpClientOptions,
  SmtpError,
  type SocketAddress,
  type TraceEvent,
} from "../../mod.ts";
import { serve } from "../../src/server/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";

const AUTH = { user: "ada", pass: "open sesame" };

/** A conversation with a client that is called client.test. */
async function conversing(
  transcript: string,
  body: (options: SmtpClientOptions) => Promise<void>,
): Promise<void> {
  const { socket, done } = replay(transcript);
  await body({ socket, clientName: "client.test", security: "none" });
  await done;
}

const hello = (...offers: string[]) => `
  S: 220 mx.test
  C: EHLO client.test
  S: ${["250-mx.test", ...offers.map((offer) => `250-${offer}`)].join("\n  S: ")}
  S: 250 HELP`;

const QUIT = `
  C: QUIT
  S: 221 Bye`;

/** An envelope of which one recipient is refused. */
const ENVELOPE = `
  C: MAIL FROM:<me@example.com>
  S: 250 Ok
  C: RCPT TO:<no@example.org>
  S: 550 Nobody
  C: RCPT TO:<you@example.org>
  S: 250 Ok
  C: DATA
  S: 354 Go ahead
  C: Subject: test
  C: 
  C: ..Message body
  C: .
  S: 250 Ok`;

test("emailjs-smtp-client: host and port", async () => {
  const asked: SocketAddress[] = [];
  const socket = (address: SocketAddress) => {
    asked.push(address);
    return Promise.reject(new Error("Not today"));
  };
  await assertRejects(() => SmtpClient.connect({ hostname: "mx.example.org", port: 25, socket }), SmtpError);
  await assertRejects(() => SmtpClient.connect({ security: "tls", socket }), SmtpError);
  assertEquals(asked, [{ hostname: "mx.example.org", port: 25 }, { hostname: "localhost", port: 465 }]);
});

test("emailjs-smtp-client: useSecureTransport and ca", async () => {
  const { authority, good } = await certificates();
  const server = serve({ serverName: "mx.test", security: "tls", tls: good, onError: () => {} });
  try {
    const { hostname, port } = await server.listening;
    const options = { hostname, port, security: "tls" } as const;
    await rejectsWith("certificate-untrusted", () => SmtpClient.connect(options));
    const tls = { caCerts: [authority.cert], peerCertificate: true };
    const client = await SmtpClient.connect({ ...options, tls });
    assertEquals(client.secure, true);
    assert(client.info.tls!.peerCertificate!.length > 100); // what oncert was told
    await client.quit();
  } finally {
    await server.shutdown();
  }
});

test("emailjs-smtp-client: name", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect({ ...options, clientName: "client.test" });
    await client.quit();
  }));

test("emailjs-smtp-client: auth", () =>
  conversing(
    `${hello("AUTH LOGIN PLAIN")}\n  C: AUTH PLAIN ${btoa("\0ada\0open sesame")}\n  S: 235 Welcome${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect({ ...options, auth: AUTH });
      assertEquals(client.authenticated, true);
      await client.quit();
    },
  ));

test("emailjs-smtp-client: xoauth2", () =>
  conversing(
    `${hello("AUTH XOAUTH2")}\n  C: AUTH XOAUTH2 ${
      btoa("user=ada\x01auth=Bearer a-token\x01\x01")
    }\n  S: 235 Ok${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect({ ...options, auth: { user: "ada", accessToken: "a-token" } });
      await client.quit();
    },
  ));

test("emailjs-smtp-client: authMethod", () =>
  conversing(
    `${hello("AUTH PLAIN LOGIN")}
    C: AUTH LOGIN
    S: 334 ${btoa("Username:")}
    C: ${btoa("ada")}
    S: 334 ${btoa("Password:")}
    C: ${btoa("open sesame")}
    S: 235 Welcome${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect({ ...options, auth: { ...AUTH, mechanisms: ["LOGIN"] } });
      await client.quit();
    },
  ));

test("emailjs-smtp-client: disableEscaping", () =>
  conversing(
    `${hello("CHUNKING")}
    C: MAIL FROM:<me@example.com>
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: BDAT 7 LAST
    C: .dots
    S: 250 Ok${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect(options);
      await client.mail("me@example.com");
      await client.rcpt("you@example.org");
      const receipt = await client.bdat(new TextEncoder().encode(".dots\r\n"), { last: true });
      assertEquals(receipt.accepted, ["you@example.org"]);
      await client.quit();
    },
  ));

test("emailjs-smtp-client: ignoreTLS", () =>
  conversing(`${hello("STARTTLS")}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect({ ...options, security: "none" });
    await client.quit();
  }));

test("emailjs-smtp-client: requireTLS", () =>
  conversing(hello(), async (options) => {
    await rejectsWith("starttls-unavailable", () => SmtpClient.connect({ ...options, security: "starttls" }));
  }));

test("emailjs-smtp-client: lmtp", () =>
  conversing(
    `
    S: 220 mx.test
    C: LHLO client.test
    S: 250 mx.test${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect({ ...options, protocol: "lmtp" });
      await client.quit();
    },
  ));

test("emailjs-smtp-client: useEnvelope(), send() and end()", () =>
  conversing(`${hello()}${ENVELOPE}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    await client.mail("me@example.com");
    const failed: string[] = [];
    for (const recipient of ["no@example.org", "you@example.org"]) {
      await client.rcpt(recipient).catch(() => failed.push(recipient));
    }
    assertEquals(failed, ["no@example.org"]); // onready was told them
    const message = await client.data();
    const writer = message.getWriter();
    for (const chunk of ["Subject: test\r\n", "\r\n", ".Message body"]) {
      await writer.ready; // ondrain
      await writer.write(chunk);
    }
    await writer.close();
    const receipt = await message.receipt; // ondone
    assertEquals(receipt.accepted, ["you@example.org"]);
    await client.quit();
  }));

test("emailjs-smtp-client: the envelope and the message at once", () =>
  conversing(`${hello()}${ENVELOPE}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    assertEquals(client.pending, 0); // idle
    const receipt = await client.send(
      { from: "me@example.com", to: ["no@example.org", "you@example.org"] },
      "Subject: test\r\n\r\n.Message body",
    );
    assertEquals(receipt.rejected.map(({ recipient }) => recipient), ["no@example.org"]);
    assertEquals([client.pending, client.usable], [0, true]); // idle again
    await client.quit();
  }));

test("emailjs-smtp-client: a message that is refused", () =>
  conversing(`${hello()}${ENVELOPE.replace(/250 Ok$/, "554 Spam")}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    const envelope = { from: "me@example.com", to: ["no@example.org", "you@example.org"] };
    const error = await rejectsWith(
      "message-refused",
      () => client.send(envelope, "Subject: test\r\n\r\n.Message body"),
    );
    assertEquals([error.outcome, error.usable], ["refused", true]);
    await client.quit();
  }));

test("emailjs-smtp-client: suspend() and resume()", async () => {
  // What is not read is not sent: the server waits as long as nobody reads.
  const server = serve({ serverName: "mx.test" }, {
    message: async (content) => {
      for await (const _ of content) await Promise.resolve();
    },
  });
  const { hostname, port } = await server.listening;
  try {
    const client = await SmtpClient.connect({ hostname, port });
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode(`${"x".repeat(70)}\r\n`));
        if (++pulled === 1_000) controller.close();
      },
    }, { highWaterMark: 0 });
    await client.send({ from: "me@example.com", to: "you@example.org" }, source);
    assertEquals(pulled, 1_000);
    await client.quit();
  } finally {
    await server.shutdown();
  }
});

test("emailjs-smtp-client: quit()", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const client = await SmtpClient.connect(options);
    await client.quit();
    await client.closed;
    assertEquals(client.usable, false);
  }));

test("emailjs-smtp-client: reset()", () =>
  conversing(
    `${hello("AUTH PLAIN")}
    C: RSET
    S: 250 Ok
    C: AUTH PLAIN ${btoa("\0ada\0open sesame")}
    S: 235 Welcome${QUIT}`,
    async (options) => {
      const client = await SmtpClient.connect(options);
      await client.reset();
      await client.authenticate(AUTH);
      await client.quit();
    },
  ));

test("emailjs-smtp-client: close()", () =>
  conversing(hello(), async (options) => {
    const client = await SmtpClient.connect(options);
    await client.close();
    assertEquals(client.usable, false);
  }));

test("emailjs-smtp-client: onerror and onclose", async () => {
  const { socket } = replay(`${hello()}\n  C: NOOP\n  S! close`);
  const states: TraceEvent[] = [];
  const client = await SmtpClient.connect({
    socket,
    clientName: "client.test",
    security: "none",
    trace: (event) => event.type === "state" && states.push(event),
  });
  await rejectsWith("connection-lost", () => client.noop());
  await client.closed;
  const last = states.at(-1)!;
  assert(last.type === "state" && last.state === "closed" && last.failed === true); // isError
});

test("emailjs-smtp-client: createLogger()", () =>
  conversing(`${hello()}${QUIT}`, async (options) => {
    const lines: string[] = [];
    const at = (level: string) => (_: unknown, text: unknown) => void lines.push(`${level} ${text}`);
    const logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
    const client = await SmtpClient.connect({ ...options, logger });
    await client.quit();
    assert(lines.includes("debug C: EHLO client.test"));
    assert(lines.some((line) => line.startsWith("info *  connected")));
    assert(!lines.some((line) => line.startsWith("error")));
  }));

test("emailjs-smtp-client: timeouts", async () => {
  const { socket } = replay(`${hello()}\n  C: NOOP`);
  const timeouts = { command: 50, block: 180_000, end: 600_000 };
  const client = await SmtpClient.connect({ socket, clientName: "client.test", security: "none", timeouts });
  const error = await rejectsWith("timeout", () => client.noop());
  assertEquals(error.temporary, true);
});
