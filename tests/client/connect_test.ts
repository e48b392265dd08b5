/** How a session ends that does not become ready: with QUIT, where the server still listens. */
import { assertEquals, assertMatch } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import type { SmtpErrorCode } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { formatTrace } from "../../src/trace.ts";
import { ehlo, hello, QUIT } from "../support/conversation.ts";
import { test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replay } from "../support/replay.ts";
import { tapped } from "../support/model_server.ts";

const AUTH = { user: "tim", pass: "tanstaaftanstaaf" };
const PLAIN = `C: AUTH PLAIN ${btoa("\0tim\0tanstaaftanstaaf")}`;
/** The example of RFC 2195. */
const CRAM = `C: AUTH CRAM-MD5
  S: 334 ${btoa("<1896.697170952@postoffice.reston.mci.net>")}
  C: ${btoa("tim b913a602c7eda7a495b4e6e7334d3890")}`;
const STARTTLS = `${hello("STARTTLS", "AUTH PLAIN")}
  C: STARTTLS`;

/** Sessions that end while both sides are in step. */
const IN_STEP: readonly (readonly [string, SmtpErrorCode, transcript: string, SmtpClientOptions])[] = [
  ["the login is refused", "auth-failed", `${hello("AUTH PLAIN")}\n${PLAIN}\nS: 535 No`, {
    auth: AUTH,
    security: "none",
  }],
  [
    "the login is refused under TLS",
    "auth-failed",
    `${STARTTLS}\nS: 220 Go\nS! tls\n${ehlo("AUTH PLAIN")}\n${PLAIN}\nS: 454 No`,
    {
      auth: AUTH,
    },
  ],
  [
    "the login is cancelled",
    "auth-failed",
    `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5\nS: 334 #\nC: *\nS: 501 Ok`,
    {
      auth: AUTH,
      security: "none",
    },
  ],
  ["there is no token", "auth-failed", hello("AUTH XOAUTH2"), {
    auth: { user: "tim", accessToken: () => Promise.reject(new Error("No token")) },
    security: "none",
  }],
  ["no AUTH is offered", "auth-unsupported", hello("SIZE"), { auth: AUTH, security: "none" }],
  ["the login would travel in the clear", "auth-insecure", hello("AUTH PLAIN"), {
    auth: AUTH,
    security: "opportunistic",
  }],
  [
    "EHLO and HELO are refused",
    "command-refused",
    "S: 220 mx.test\nC: EHLO client.test\nS: 502 No\nC: HELO client.test\nS: 550 No",
    {},
  ],
  ["EHLO is refused for now", "command-refused", "S: 220 mx.test\nC: EHLO client.test\nS: 451 No", {}],
  ["LHLO is refused", "command-refused", "S: 220 mx.test\nC: LHLO client.test\nS: 500 No", {
    protocol: "lmtp",
  }],
  [
    "EHLO is refused under TLS",
    "command-refused",
    `${STARTTLS}\nS: 220 Go\nS! tls\nC: EHLO client.test\nS: 450 No`,
    {
      security: "starttls",
    },
  ],
  ["STARTTLS is not offered", "starttls-unavailable", hello("AUTH PLAIN"), { auth: AUTH }],
  ["STARTTLS is refused", "starttls-unavailable", `${STARTTLS}\nS: 454 No`, { security: "starttls" }],
  ["the greeting is 554", "service-unavailable", "S: 554 No mail here", {}], // RFC 5321, section 3.1
  ["the greeting is 450", "service-unavailable", "S: 450 Not now", {}],
];

for (const [what, code, transcript, options] of IN_STEP) {
  test(`SmtpClient.connect() says QUIT where ${what}`, async () => {
    const played = replay(`${transcript}\n${QUIT}`);
    const lines: string[] = [];
    const error = await rejectsWith(code, () =>
      SmtpClient.connect({
        ...options,
        socket: played.socket,
        clientName: "client.test",
        trace: (event) => lines.push(formatTrace(event)),
      }));
    assertEquals([error.usable, error.outcome], [false, "not-sent"]);
    await played.done;
    assertMatch(lines.at(-1)!, /closed/);
  });
}

test("SmtpClient.open() says QUIT where the greeting is 554", async () => {
  const played = replay(`S: 554 No mail here\n${QUIT}`);
  await rejectsWith("service-unavailable", () => SmtpClient.open({ socket: played.socket }));
  await played.done;
});

for (
  const [what, code, transcript, options] of [
    ["the greeting is 421", "service-unavailable", "S: 421 Too busy", {}],
    [
      "EHLO is answered with 421",
      "service-unavailable",
      "S: 220 mx.test\nC: EHLO client.test\nS: 421 Going down",
      {},
    ],
    ["STARTTLS is answered with 421", "service-unavailable", `${STARTTLS}\nS: 421 Going down`, {
      security: "starttls",
    }],
    [
      "AUTH is answered with 421",
      "service-unavailable",
      `${hello("AUTH PLAIN")}\n${PLAIN}\nS: 421 Going down`,
      {
        auth: AUTH,
        security: "none",
      },
    ],
    ["the server breaks the protocol", "protocol-error", "S: 220 mx.test\nC: EHLO client.test\nS: hello", {}],
    ["bytes followed the reply to STARTTLS", "starttls-injection", `${STARTTLS}\nS: 220 Go\nS: 250 Ok`, {
      security: "starttls",
    }],
    [
      "the server says yes to a login that is none",
      "auth-failed",
      `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5\nS: 235 Yes`,
      {
        auth: AUTH,
        security: "none",
      },
    ],
  ] satisfies [string, SmtpErrorCode, string, SmtpClientOptions][]
) {
  test(`SmtpClient.connect() says no QUIT where ${what}`, async () => {
    const played = replay(transcript);
    await rejectsWith(
      code,
      () => SmtpClient.connect({ ...options, socket: played.socket, clientName: "client.test" }),
    );
    await played.done;
  });
}

/** A server that refuses the login, and hears what follows. */
function refusing(): {
  options: SmtpClientOptions;
  quit: Promise<void>;
  answer(): Promise<void>;
  ended: Promise<void>;
} {
  const [near, far] = memorySocketPair();
  const quit = Promise.withResolvers<void>();
  const writer = far.writable.getWriter();
  const say = (line: string) => writer.write(new TextEncoder().encode(`${line}\r\n`));
  const serve = async () => {
    await say("220 mx.test");
    for await (const chunk of far.readable) {
      const line = new TextDecoder().decode(chunk);
      if (line.startsWith("EHLO ")) await say("250-mx.test\r\n250 AUTH PLAIN");
      else if (line.startsWith("AUTH ")) await say("535 5.7.8 No");
      else if (line === "QUIT\r\n") quit.resolve();
    }
    await far.close();
  };
  return {
    options: { socket: near, auth: AUTH, security: "none", clientName: "client.test" },
    quit: quit.promise,
    answer: () => say("221 Bye"),
    ended: serve(),
  };
}

test("SmtpClient.connect() rejects before the server has answered QUIT", async () => {
  const { options, quit, answer, ended } = refusing();
  await rejectsWith("auth-failed", () => SmtpClient.connect(options));
  await quit;
  await answer();
  await ended;
});

test("SmtpClient.connect() leaves a server that never answers QUIT", async () => {
  const { options, quit, ended } = refusing();
  // No longer than the harness would wait: the limit is a second, whatever `timeouts.quit` says.
  await rejectsWith("auth-failed", () => SmtpClient.connect({ ...options, timeouts: { quit: 600_000 } }));
  await quit;
  await ended;
});

test("SmtpClient.connect() stops saying QUIT when its signal is aborted", async () => {
  const { options, quit, ended } = refusing();
  const controller = new AbortController();
  await rejectsWith(
    "auth-failed",
    () => SmtpClient.connect({ ...options, signal: controller.signal, timeouts: { quit: 600_000 } }),
  );
  await quit;
  controller.abort();
  await ended.catch(() => {}); // an abort resets the connection
});

test("SmtpClient.connect() says that the login was refused where the server hangs up at once", async () => {
  const played = replay(`${hello("AUTH PLAIN")}\n${PLAIN}\nS: 535 5.7.8 No\nS! close`);
  const error = await rejectsWith(
    "auth-failed",
    () =>
      SmtpClient.connect({ socket: played.socket, auth: AUTH, security: "none", clientName: "client.test" }),
  );
  assertEquals([error.reply?.code, error.temporary], [535, false]);
  await played.done;
});

test("SmtpClient.connect() says that the login was refused where the server hangs up on the last try", async () => {
  const played = replay(`${hello("AUTH CRAM-MD5 PLAIN")}\n${CRAM}\nS: 535 5.7.8 No\n${PLAIN}\nS! close`);
  const error = await rejectsWith(
    "auth-failed",
    () =>
      SmtpClient.connect({ socket: played.socket, auth: AUTH, security: "none", clientName: "client.test" }),
  );
  assertEquals([error.reply?.code, error.temporary, error.usable], [535, false, false]);
  assertEquals(error.attempts.map(({ mechanism }) => mechanism), ["CRAM-MD5"]);
  await played.done;
});

for (
  const [what, security, verify, rest] of [
    ["verified TLS", "starttls", true, `${PLAIN}\nS: 235 Yes`],
    ["TLS that is not verified", "starttls", false, `${CRAM}\nS: 235 Yes`],
    ["no TLS", "none", undefined, `${CRAM}\nS: 235 Yes`],
  ] as const
) {
  test(`SmtpClient.connect() chooses between PLAIN and CRAM-MD5 under ${what}`, async () => {
    const offer = "AUTH CRAM-MD5 LOGIN PLAIN";
    const start = security === "none" ? hello(offer) : `${STARTTLS}\nS: 220 Go\nS! tls\n${ehlo(offer)}`;
    const played = replay(`${start}\n${rest}\n${QUIT}`);
    const tls = verify === undefined ? {} : { tls: { verify } };
    {
      await using client = await SmtpClient.connect({
        ...tls,
        security,
        socket: played.socket,
        clientName: "client.test",
        auth: AUTH,
      });
      assertEquals(client.authenticated, true);
    }
    await played.done;
  });
}

test("SmtpClient gives its address to EHLO only if a socket of the caller's says one, and no more words than one", async () => {
  const addresses = {
    "192.0.2.1:4025": "[192.0.2.1]",
    "[2001:db8::1%eth0]:4025": "[IPv6:2001:db8::1]",
    "192.0.2.1 SIZE=1.2.3:25": "localhost",
    "[::1 SIZE=1]:25": "localhost",
    "[]:25": "localhost",
    "mx.test:25": "localhost",
  };
  for (const [localAddress, name] of Object.entries(addresses)) {
    const played = replay(`S: 220 mx.test\nC: EHLO ${name}\nS: 250 mx.test\n${QUIT}`, "whole");
    const socket = tapped(played.socket, () => {});
    const opened = socket.opened.then((info) => ({ ...info, localAddress }));
    const client = await SmtpClient.connect({ socket: { ...socket, opened }, security: "none" });
    await client.quit();
    await played.done;
  }
});
