import { assert, assertEquals } from "@std/assert";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { SmtpClient } from "../../src/client/client.ts";
import { forgetBroken, recall, remember } from "../../src/client/broken_extensions.ts";
import { formatTrace } from "../../src/trace.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };

/** A server that announces PIPELINING and CHUNKING, and does what it is told with what comes. */
async function flawed(
  onData: (text: string, socket: Socket) => void,
  body: (connect: () => Promise<SmtpClient>, trace: string[]) => Promise<void>,
): Promise<void> {
  forgetBroken();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write("220 mx.test\r\n");
    socket.on("data", (data) => {
      const text = data.toString();
      if (text.startsWith("EHLO")) socket.write("250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
      else if (text.startsWith("QUIT")) socket.end("221 Bye\r\n");
      else onData(text, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const trace: string[] = [];
  try {
    await body(
      () =>
        SmtpClient.connect({
          hostname: "127.0.0.1",
          port,
          security: "none",
          trace: (event) => trace.push(formatTrace(event)),
        }),
      trace,
    );
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    forgetBroken();
  }
}

/** Answers a command at a time, and content with its end. */
function answer(text: string, socket: Socket): void {
  if (text.startsWith("DATA")) socket.write("354 Go\r\n");
  else socket.write("250 Ok\r\n");
}

test("SmtpClient does without CHUNKING on the next connection where a server does not know BDAT", () =>
  flawed((text, socket) => {
    if (text.includes("BDAT")) {
      socket.write("250 Ok\r\n250 Ok\r\n502 5.5.1 command unrecognized\r\n500 what?\r\n");
    } else if (text.startsWith("MAIL")) socket.write("250 Ok\r\n250 Ok\r\n354 Go\r\n");
    else answer(text, socket);
  }, async (connect, trace) => {
    await using first = await connect();
    const error = await rejectsWith("protocol-error", () => first.send(ENVELOPE, "A:"));
    assertEquals([error.outcome, error.temporary, error.usable], ["not-sent", true, false]);
    assert(
      trace.includes("*  without CHUNKING: the server answers BDAT with 502 5.5.1 command unrecognized"),
      `${trace}`,
    );
    await using second = await connect();
    await second.send(ENVELOPE, "A:");
    assert(trace.includes("*  without CHUNKING: the server failed at it before"), `${trace}`);
    assertEquals(second.extensions.chunking, true);
  }));

test("SmtpClient does without PIPELINING where a server hangs up twice at the first group of commands", () =>
  flawed((text, socket) => {
    if (text.trimEnd().includes("\r\n") && text.startsWith("MAIL")) socket.destroy();
    else answer(text, socket);
  }, async (connect, trace) => {
    for (let i = 0; i < 2; i++) {
      assert(!trace.join("\n").includes("without"), `${trace}`);
      await using client = await connect();
      const error = await client.send(ENVELOPE, "A:").catch((error) => error);
      assertEquals(error.temporary, true, `${error}`);
    }
    await using third = await connect();
    await third.send(ENVELOPE, "A:");
    assert(trace.includes("*  without PIPELINING: the server failed at it before"), `${trace}`);
  }));

test("SmtpClient does not take the reply to RSET for the answer to its group of commands", () =>
  flawed((text, socket) => {
    if (text.startsWith("RSET")) socket.end("250 Reset\r\n");
    else answer(text, socket);
  }, async (connect, trace) => {
    for (let i = 0; i < 2; i++) {
      await using client = await connect();
      await client.command("MAIL FROM:<me@example.com>");
      const error = await rejectsWith("connection-lost", () => client.send(ENVELOPE, "A:"));
      assertEquals(error.temporary, true);
    }
    assert(trace.join("\n").includes("without PIPELINING"), `${trace}`);
  }));

test("SmtpClient keeps PIPELINING where connections that were open side by side are lost at once", () => {
  const waiting: Socket[] = [];
  return flawed((text, socket) => {
    if (text.trimEnd().includes("\r\n") && text.startsWith("MAIL") && waiting.push(socket) === 3) {
      for (const one of waiting) one.destroy();
    }
  }, async (connect, trace) => {
    const clients = await Promise.all([connect(), connect(), connect()]);
    const results = await Promise.allSettled(clients.map((client) => client.send(ENVELOPE, "A:")));
    assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
    await using next = await connect();
    assert(!trace.join("\n").includes("without"), `${trace}`);
    assertEquals(next.usable, true);
  });
});

test("SmtpClient keeps PIPELINING where it has worked, however often a first group is lost after that", () => {
  let works = true;
  return flawed((text, socket) => {
    if (!text.startsWith("MAIL")) return answer(text, socket);
    if (works) socket.write("250 Ok\r\n250 Ok\r\n250 Ok\r\n");
    else socket.destroy();
  }, async (connect, trace) => {
    await using first = await connect();
    await first.send(ENVELOPE, "A:");
    works = false;
    for (let i = 0; i < 3; i++) {
      await using client = await connect();
      await client.send(ENVELOPE, "A:").catch(() => {});
    }
    assert(!trace.join("\n").includes("without"), `${trace}`);
  });
});

test("SmtpClient keeps PIPELINING where a connection is lost later on", () =>
  flawed((text, socket) => {
    if (text.includes("unlucky")) socket.destroy();
    else socket.write("250 Ok\r\n250 Ok\r\n250 Ok\r\n");
  }, async (connect, trace) => {
    await using first = await connect();
    await first.send(ENVELOPE, "A:");
    const error = await first.send(ENVELOPE, "A: unlucky").catch((error) => error);
    assertEquals(error.outcome, "unknown", `${error}`);
    assert(!trace.join("\n").includes("without"), `${trace}`);
  }));

test("recall() gives what was remembered, for an hour", () => {
  forgetBroken();
  remember("mx.test:25", "CHUNKING", 1_000);
  remember("mx.test:25", "PIPELINING", 2_000);
  remember("mx.test:25", "CHUNKING", 3_000);
  assertEquals(recall("mx.test:25", 4_000), ["PIPELINING", "CHUNKING"]);
  assertEquals(recall("mx.test:25", 2_000 + 3_600_000), ["CHUNKING"]);
  assertEquals(recall("mx.test:25", 3_000 + 3_600_000), []);
  assertEquals(recall("mx.test:26", 4_000), []);
  remember(undefined, "CHUNKING");
  assertEquals(recall(undefined), []);
  forgetBroken();
});

test("remember() keeps the newest thousand servers", () => {
  forgetBroken();
  for (let i = 0; i <= 1_000; i++) remember(`mx${i}.test:25`, "CHUNKING", 0);
  assertEquals(recall("mx0.test:25", 1), []);
  assertEquals(recall("mx1.test:25", 1), ["CHUNKING"]);
  assertEquals(recall("mx1000.test:25", 1), ["CHUNKING"]);
  forgetBroken();
});
