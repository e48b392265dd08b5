/** What the pages for those coming from another library say, and no other test shows. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect as connectTcp } from "node:net";
import { Duplex } from "node:stream";
import {
  consoleTrace,
  ProtocolError,
  SmtpChannel,
  SmtpClient,
  SocketError,
  type StreamPair,
  type TraceEvent,
} from "../../mod.ts";
import { serve } from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { certificates } from "../sockets/conformance.ts";
import { converse } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { replay } from "../support/replay.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const HELLO = `
  S: 220 mx.test
  C: EHLO client.test
  S: 250-mx.test
  S: 250 SIZE`;

const QUIT = `
  C: QUIT
  S: 221 Bye`;

/** Collects what passes through a stream. */
function tap(seen: string[], direction: string): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      seen.push(`${direction} ${new TextDecoder().decode(chunk)}`);
      controller.enqueue(chunk);
    },
  });
}

test("SmtpClient connects from localAddress", async () => {
  const server = serve({ serverName: "mx.test" });
  try {
    const { hostname, port } = await server.listening;
    const client = await SmtpClient.connect({ hostname, port, localAddress: "127.0.0.2" });
    assertMatch(client.info.localAddress!, /^127\.0\.0\.2:/);
    await client.quit();
  } finally {
    await server.shutdown();
  }
});

test("SmtpClient uses a socket of node:net that a function opens", async () => {
  const server = serve({ serverName: "mx.test" });
  try {
    const { hostname, port } = await server.listening;
    const client = await SmtpClient.connect({
      hostname: "mx.example.org",
      port: 25,
      security: "none",
      socket: (address) => {
        assertEquals(address, { hostname: "mx.example.org", port: 25 });
        return Duplex.toWeb(connectTcp(port, hostname)) as unknown as StreamPair;
      },
    });
    await client.send({ from: "me@example.com", to: "you@example.org" }, "A: Hi");
    await client.quit();
  } finally {
    await server.shutdown();
  }
});

test("SmtpClient.quit() waits no longer than timeouts.quit", async () => {
  const { socket } = replay(`${HELLO}\n  C: QUIT`);
  const client = await SmtpClient.connect({ socket, clientName: "client.test", timeouts: { quit: 5 } });
  await client.quit();
  await client.closed;
});

test("SmtpClient limits replies by maxReplyLength and maxLineLength", async () => {
  const socket = () => replay("S: 220-mx.test\nS: 220 and more").socket;
  await rejectsWith("protocol-error", () => SmtpClient.open({ socket: socket(), maxReplyLength: 20 }));
  await rejectsWith("protocol-error", () => SmtpClient.open({ socket: socket(), maxLineLength: 10 }));
});

test("consoleTrace() writes a session as a transcript", async () => {
  const lines: string[] = [];
  const trace = consoleTrace((line) => lines.push(line));
  await converse(`${HELLO}${QUIT}`, (client) => client.quit(), { trace });
  assertEquals(lines.filter((line) => !line.startsWith("*")), [
    "S: 220 mx.test",
    "C: EHLO client.test",
    "S: 250-mx.test",
    "S: 250 SIZE",
    "C: QUIT",
    "S: 221 Bye",
  ]);
});

test("trace reports the states of a session, and whether it failed", async () => {
  const states: string[] = [];
  const trace = (event: TraceEvent) => {
    if (event.type === "state") states.push(event.failed ? `${event.state}, failed` : event.state);
  };
  await converse(`${HELLO}${QUIT}`, (client) => client.quit(), { trace });
  await converse(`${HELLO}\n  C: NOOP\n  S! close`, async (client) => {
    await rejectsWith("connection-lost", () => client.noop());
    await client.closed; // resolves, whatever the reason
    assertEquals(client.usable, false);
  }, { trace });
  assertEquals(states, ["connecting", "connected", "closed", "connecting", "connected", "closed, failed"]);
});

test("your own socket sees every byte", async () => {
  const seen: string[] = [];
  const transcript = `${HELLO}
    C: MAIL FROM:<me@example.com> SIZE=7
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: A: Hi
    C: .
    S: 250 Ok${QUIT}`;
  const { socket, done } = replay(transcript);
  const out = tap(seen, ">");
  void out.readable.pipeTo(socket.writable);
  const client = await SmtpClient.connect({
    socket: { readable: socket.readable.pipeThrough(tap(seen, "<")), writable: out.writable },
    clientName: "client.test",
  });
  await client.send({ from: "me@example.com", to: "you@example.org" }, "A: Hi");
  await client.quit();
  await done;
  assert(seen.includes("> A: Hi\r\n.\r\n"));
  assert(seen.includes("< 221 Bye\r\n"));
});

test("SmtpClient leaves DSN out where the server lacks it, if ifOffered says so", () =>
  converse(
    `${HELLO}
    C: MAIL FROM:<> SIZE=7
    S: 250 Ok
    C: RCPT TO:<you@example.org>
    S: 250 Ok
    C: DATA
    S: 354 Go ahead
    C: A: Hi
    C: .
    S: 250 Ok${QUIT}`,
    async (client) => {
      const envelope = { from: null, to: "you@example.org" };
      await rejectsWith(
        "extension-missing",
        () => client.send({ ...envelope, dsn: { notify: "never" } }, "A: Hi"),
      );
      await client.send({ ...envelope, dsn: { notify: "never", ifOffered: true } }, "A: Hi");
      await client.quit();
    },
  ));

test("SmtpClient tells what is known of the session", () => {
  let last = "";
  return converse(
    `${HELLO}${QUIT}`,
    async (client) => {
      assertEquals([client.secure, client.authenticated, client.usable], [false, false, true]);
      assertEquals([client.extensions.has("AUTH"), client.extensions.auth, client.pending], [false, [], 0]);
      assertEquals(last, "250-mx.test\n250 SIZE");
      assertEquals(client.info, { remoteAddress: "memory", localAddress: "memory", alpn: null });
      await client.quit();
      assertEquals(client.usable, false);
    },
    { trace: (event) => event.type === "reply" && (last = event.reply.toString()) },
  );
});

test("SmtpError tells the reply, the recipient, the phase and the cause", async () => {
  await converse(
    `${HELLO}
    C: MAIL FROM:<me@example.com> SIZE=7
    S: 250 Ok
    C: RCPT TO:<no@example.org>
    S: 550 5.1.1 Nobody${QUIT}`,
    async (client) => {
      const error = await rejectsWith(
        "recipients-refused",
        () => client.send({ from: "me@example.com", to: "no@example.org" }, "A: Hi"),
      );
      assertEquals([error.phase, error.reply?.toString()], ["rcpt", "550 5.1.1 Nobody"]);
      assertEquals([error.reply?.code, error.enhancedCode, error.temporary], [550, "5.1.1", false]);
      assertEquals(error.recipient, "no@example.org");
      assertEquals(error.rejected.map(({ recipient, reply }) => `${recipient} ${reply?.code}`), [
        "no@example.org 550",
      ]);
      await client.quit();
    },
  );
  const refused = await rejectsWith(
    "connection-refused",
    () => SmtpClient.connect({ path: "/does/not/exist.sock", security: "none" }),
  );
  // Ours, and in it the runtime's own.
  assert(refused.cause instanceof SocketError && refused.cause.cause instanceof Error);
});

test("the package sends over SMTP and nothing else", async () => {
  const names = Object.keys(await import("../../mod.ts"));
  const others = /ses|sendmail$|transport|fetch|file|otp/i;
  assertEquals(names.filter((name) => others.test(name) && name !== "sendMail"), []);
});

test("SmtpChannel.open() connects with TLS, and checks the certificate", async () => {
  const { authority, good } = await certificates();
  const server = serve({ serverName: "mx.test", onError: () => {}, security: "tls", tls: good });
  try {
    const { hostname, port } = await server.listening;
    const tls = { caCerts: [authority.cert] };
    await using channel = await SmtpChannel.open({ hostname, port, security: "tls", tls });
    assertEquals(channel.secure, true);
    assertEquals((await channel.replies.next()).value?.code, 220);
    await rejectsWith("certificate-untrusted", () => SmtpChannel.open({ hostname, port, security: "tls" }));
  } finally {
    await server.shutdown();
  }
});

test("SmtpChannel.close() ends a wait for a reply", async () => {
  const { socket } = replay("S: 220 mx.test\nC: NOOP");
  const channel = await SmtpChannel.open({ socket });
  await channel.replies.next();
  await channel.command("NOOP");
  const waiting = channel.replies.next();
  await channel.close();
  assertEquals(await waiting, { value: undefined, done: true });
  await channel.closed;
});

test("SmtpChannel.open() is given up by its signal", async () => {
  const options = { hostname: "127.0.0.1", port: 25, signal: AbortSignal.abort() };
  await rejectsWith("aborted", () => SmtpChannel.open(options));
});

test("SmtpChannel sends what is written in one turn in one chunk", async () => {
  const [near, far] = memorySocketPair();
  const sent: string[] = [];
  const out = tap(sent, ">");
  void out.readable.pipeTo(near.writable);
  const channel = await SmtpChannel.open({ socket: { readable: near.readable, writable: out.writable } });
  await Promise.all([channel.command("MAIL FROM:<>"), channel.command("RCPT TO:<you@example.org>")]);
  assertEquals(sent, ["> MAIL FROM:<>\r\nRCPT TO:<you@example.org>\r\n"]);
  await channel.close();
  await far.close();
});

test("SmtpChannel rejects when the connection breaks or what comes is not SMTP", async () => {
  const channel = await SmtpChannel.open({ socket: replay("S: 220 mx.test\nS! reset").socket });
  await channel.replies.next();
  await assertRejects(() => channel.replies.next(), SocketError);
  await assertRejects(() => channel.closed, SocketError);
  const confused = await SmtpChannel.open({ socket: replay("S: What?").socket });
  await assertRejects(() => confused.replies.next(), ProtocolError);
});

test("a caller can look at a certificate that is not checked", async () => {
  const { good } = await certificates();
  const server = serve({ serverName: "mx.test", onError: () => {}, security: "tls", tls: good });
  try {
    const { hostname, port } = await server.listening;
    const tls = { verify: false, peerCertificate: true };
    const client = await SmtpClient.open({ hostname, port, security: "tls", tls });
    assert(client.info.tls!.peerCertificate!.length > 100);
    await client.close();
  } finally {
    await server.shutdown();
  }
});
