import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { checkAuth } from "../../src/client/authenticate.ts";
import { SmtpChannel } from "../../src/client/channel.ts";
import { SmtpClient } from "../../src/client/client.ts";
import { checkEnvelopeNames } from "../../src/client/envelope.ts";
import type { Envelope } from "../../src/client/envelope.ts";
import { AUTH_HINTS, CLIENT_HINTS, ENVELOPE_HINTS, SEND_HINTS } from "../../src/client/foreign_options.ts";
import {
  checkSendOptions,
  divideOptions,
  readChannelOptions,
  readOptions,
} from "../../src/client/options.ts";
import type { SendOptions, SmtpClientOptions } from "../../src/client/options.ts";
import { conversation, converse, hello, QUIT } from "../support/conversation.ts";
import { sendMail, test } from "../support/harness.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const ENVELOPE = { from: "me@example.com", to: "you@example.org" };
const MESSAGE = "Subject: Hi\r\n\r\nHello";

/** What a program passes that has no types. */
function untyped<T>(options: Record<string, unknown>): T {
  return options as T;
}

/** Whatever is done with these options, nothing is opened. */
const untouched = {
  socket: () => {
    throw new Error("a connection was opened");
  },
};

const ofNodemailer: Record<string, string> = {
  host: "use hostname",
  secure: 'use security: "tls" instead of true, "starttls" instead of false',
  requireTLS: 'use security: "starttls"',
  ignoreTLS: 'use security: "none"',
  opportunisticTLS: 'use security: "opportunistic"',
  name: "use clientName",
  connectionTimeout: "use timeouts.connect",
  greetingTimeout: "use timeouts.greeting",
  socketTimeout: "use timeouts.command, mail, rcpt, data, block and end",
  dnsTimeout: "use timeouts.connect",
  service: "use hostname, port and security, as the provider gives them",
  url: "use hostname, port and security, as the provider gives them",
  pool: "use SmtpPool, or leave it out: call send() again, and messages share the connection",
  maxConnections: "use SmtpPool, or leave it out: call send() again, and messages share the connection",
  maxMessages: "use SmtpPool, or leave it out: call send() again, and messages share the connection",
  rateLimit: "use SmtpPool",
  lmtp: 'use protocol: "lmtp"',
  debug: "use trace: consoleTrace(), or logger",
  proxy: "use socket: a function that connects through the proxy, as in examples/proxy_socks5.ts",
  authMethod: "use auth.mechanisms",
  customAuth: "use auth.mechanism",
  dsn: "use it in the envelope",
};

for (const [name, instead] of Object.entries(ofNodemailer)) {
  test(`SmtpClient.connect() says what to do instead of nodemailer's ${name}`, async () => {
    const options = untyped<SmtpClientOptions>({ ...untouched, [name]: true });
    const message = `Cannot connect: there is no option "${name}", ${instead}`;
    assertEquals((await assertRejects(() => SmtpClient.connect(options), TypeError)).message, message);
  });
}

test("every way to connect refuses an option that does not exist before anything is opened", async () => {
  const options = untyped<SmtpClientOptions>({ ...untouched, requireTLS: true });
  for (
    const [action, call] of [
      ["connect", () => SmtpClient.connect(options)],
      ["connect", () => SmtpClient.open(options)],
      ["connect", () => SmtpClient.verify(options)],
      ["connect", () => SmtpChannel.open(options)],
      ["send", () => sendMail(options, ENVELOPE, MESSAGE)],
    ] as [string, () => Promise<unknown>][]
  ) {
    const { message } = await assertRejects(call, TypeError);
    assertEquals(message, `Cannot ${action}: there is no option "requireTLS", use security: "starttls"`);
  }
});

test("sendMail() cancels the message when an option does not exist", async () => {
  let reason: unknown;
  const message = new ReadableStream<Uint8Array>({ cancel: (why) => void (reason = why) });
  const options = untyped<SmtpClientOptions>({ ...untouched, pool: true });
  const error = await assertRejects(() => sendMail(options, ENVELOPE, message), TypeError);
  assertEquals(reason, error);
});

test("send() and sendMail() with a mail as the only argument name compose(), and open nothing for it", async () => {
  const mail = untyped<Envelope>({ ...ENVELOPE, subject: "Hi", text: "Hello" });
  const missing = undefined as never;
  const words = 'Cannot send: there is no option "envelope.subject", make a message with compose()';
  await assertRejects(() => sendMail(untouched, mail, missing), TypeError, words);
  for (
    const [envelope, words] of [[ENVELOPE, "it must be"], [
      { envelope: ENVELOPE, message: "" },
      "send(mail.envelope",
    ]] as const
  ) {
    const error = await rejectsWith(
      "invalid-message",
      () => sendMail(untouched, untyped<Envelope>(envelope), missing),
    );
    assertStringIncludes(error.message, words);
  }
  await converse(`${hello()}\n${QUIT}`, async (client) => {
    await assertRejects(() => client.send(mail, missing), TypeError, words);
  });
});

test("readOptions() says what to do instead of the options of other libraries", () => {
  for (
    const [options, message] of [
      // denomailer
      [
        { connection: { hostname: "mx.test" } },
        '"connection", write hostname, port and auth without it; for a connection that is open use socket',
      ],
      [{ username: "tim" }, '"username", use auth: { user, pass }'],
      // upyo
      [{ localName: "client.test" }, '"localName", use clientName'],
      // emailjs
      [{ ssl: true }, '"ssl", use security: "tls"'],
      [
        { user: "tim", password: "x" },
        '"user", use auth: { user, pass }; there is no option "password", use',
      ],
      // node:tls
      [{ rejectUnauthorized: false }, '"rejectUnauthorized", use tls.verify'],
      // our own, elsewhere
      [{ recipients: "all" }, '"recipients", use it in send()'],
      [{ lineLength: "allow" }, '"lineLength", use it in send()'],
      // our own, misspelt
      [{ hostName: "mx.test" }, '"hostName", did you mean hostname?'],
      [{ timeout: {} }, '"timeout", did you mean timeouts?'],
      [{ Security: "tls" }, '"Security", did you mean security?'],
      [{ timeouts: { all: 1 } }, '"timeouts.all", only connect, greeting, command'],
      [{ timeouts: { greet: 1 } }, '"timeouts.greet", use timeouts.greeting'],
      [{ timeouts: { connection: 1 } }, '"timeouts.connection", use timeouts.connect'],
      [{ timeouts: { socket: 1 } }, '"timeouts.socket", use timeouts.command, mail, rcpt,'],
      [{ timeouts: { Connect: 1 } }, '"timeouts.Connect", did you mean timeouts.connect?'],
    ] as [Record<string, unknown>, string][]
  ) {
    assertThrows(
      () => readOptions(untyped(options)),
      TypeError,
      `Cannot connect: there is no option ${message}`,
    );
  }
});

test("readChannelOptions() refuses what only a client has", () => {
  for (const name of ["auth", "clientName", "protocol", "transfer", "trace", "logger", "maxInFlight"]) {
    assertThrows(
      () => readChannelOptions(untyped({ [name]: "x" })),
      TypeError,
      `there is no option "${name}", only SmtpClient has it`,
    );
  }
  assertThrows(
    () => readChannelOptions(untyped({ timeouts: { greeting: 1 } })),
    TypeError,
    'there is no option "timeouts.greeting", only SmtpClient has it',
  );
  readChannelOptions({ timeouts: { connect: 1 }, port: 25 });
});

test("readOptions() refuses options of TLS that do not exist, whatever the socket is", () => {
  const { readable, writable } = new TransformStream();
  for (
    const more of [{}, { security: "starttls" }, { socket: { readable, writable }, hostname: "mx.test" }]
  ) {
    for (
      const tls of [{ ca: "pem" }, { rejectUnauthorized: false }, { minVersion: "TLSv1.2" }, null, "pem"]
    ) {
      assertThrows(() => readOptions(untyped({ ...more, tls })), TypeError, "Cannot use TLS: ");
    }
  }
});

test("readOptions() refuses options that are not objects, and shows no URL, which may hold a password", () => {
  for (
    const [options, message] of [
      ["smtps://tim:secret@mx.test", "options must be an object, the current value is a string"],
      [null, "options must be an object, the current value is null"],
      [{ timeouts: 5_000 }, "timeouts must be an object, the current value is 5000"],
      [{ tls: true }, 'tls must be an object (security: "tls" turns it on), the current value is true'],
      [{ trace: true }, "trace must be a function, such as consoleTrace(), the current value is true"],
      [{ signal: new AbortController() }, "signal must be an AbortSignal, the current value is an object"],
      [{ path: "/run/lmtp", hostname: "mx.test" }, "hostname and port have no meaning with the option path"],
    ] as [SmtpClientOptions, string][]
  ) {
    const error = assertThrows(() => readOptions(options), TypeError);
    assertEquals(error.message, `Cannot connect: ${message}`);
  }
});

test("divideOptions() gives the client its options and the message its own", () => {
  const { signal } = new AbortController();
  const onProgress = () => {};
  assertEquals(
    divideOptions({ hostname: "mx.test", port: undefined!, recipients: "all", onProgress, signal }),
    [{ hostname: "mx.test", signal }, { recipients: "all", signal, onProgress }],
  );
  // What is inherited counts, as everywhere.
  assertEquals(divideOptions(Object.create({ security: "tls", lineLength: "allow" })), [
    { security: "tls" },
    { lineLength: "allow" },
  ]);
  assertThrows(
    () => divideOptions(untyped({ recipient: "all" })),
    TypeError,
    'Cannot send: there is no option "recipient", did you mean recipients?',
  );
});

test("checkSendOptions() refuses what does not exist or makes no sense", () => {
  for (
    const [options, message] of [
      [{ dsn: {} }, 'there is no option "dsn", use it in the envelope'],
      [{ timeout: 5 }, 'there is no option "timeout", use signal: AbortSignal.timeout(milliseconds)'],
      [{ recipient: "all" }, 'there is no option "recipient", did you mean recipients?'],
      [{ onprogress: () => {} }, 'there is no option "onprogress", did you mean onProgress?'],
      [{ recipients: "none" }, 'recipients must be "some" or "all", the current value is "none"'],
      [{ lineLength: 998 }, 'lineLength must be "error" or "allow", the current value is 998'],
      [{ onProgress: true }, "onProgress must be a function, the current value is true"],
      [{ signal: {} }, "signal must be an AbortSignal, the current value is an object"],
      [null, "options must be an object, the current value is null"],
    ] as [SendOptions, string][]
  ) {
    const error = assertThrows(() => checkSendOptions(options), TypeError);
    assertEquals(error.message, `Cannot send: ${message}`);
  }
});

conversation(
  "SmtpClient.send() refuses an option that does not exist, cancels the message, and goes on",
  `${hello()}\n${QUIT}`,
  async (client) => {
    let reason: unknown;
    const message = new ReadableStream<Uint8Array>({ cancel: (why) => void (reason = why) });
    const options = untyped<SendOptions>({ requireTls: true });
    const error = await assertRejects(() => client.send(ENVELOPE, message, options), TypeError);
    assertEquals(error.message, 'Cannot send: there is no option "requireTls", use it in the envelope');
    assertEquals([reason, client.usable], [error, true]);
  },
);

conversation(
  "SmtpClient refuses what does not exist in an envelope and in the options of each command, and goes on",
  `${hello("CHUNKING", "DSN", "XCLIENT ADDR", "XFORWARD ADDR")}
   C: MAIL FROM:<me@example.com>
   S: 250 Ok
   C: RSET
   S: 250 Ok
   ${QUIT}`,
  async (client) => {
    const composed = "make a message with compose() of @streams/smtp/compose";
    for (
      const [envelope, message] of [
        [{ from: "me@example.com", rcpt: "you@example.org" }, '"envelope.rcpt", use to'],
        [
          { ...ENVELOPE, cc: "her@example.org" },
          '"envelope.cc", use to: the envelope names all who get the message, and no one else',
        ],
        [
          { ...ENVELOPE, bcc: "her@example.org" },
          '"envelope.bcc", use to: the envelope names all who get the message, and no one else',
        ],
        [
          { ...ENVELOPE, subject: "Hi", text: "Hello" },
          `"envelope.subject", ${composed}; there is no option "envelope.text", ${composed}`,
        ],
        [{ ...ENVELOPE, content: "Hello" }, `"envelope.content", ${composed}`],
        [{ ...ENVELOPE, attachments: [] }, `"envelope.attachments", ${composed}`],
        [{ ...ENVELOPE, headers: {} }, `"envelope.headers", ${composed}`],
        [{ ...ENVELOPE, replyTo: "me@example.com" }, `"envelope.replyTo", ${composed}`],
        [{ envelope: ENVELOPE }, '"envelope.envelope", write from and to without it'],
        [{ ...ENVELOPE, use8BitMime: true }, '"envelope.use8BitMime", use body: "8bitmime"'],
        [{ ...ENVELOPE, requireTLS: true }, '"envelope.requireTLS", did you mean envelope.requireTls?'],
        [{ ...ENVELOPE, smtpUTF8: true }, '"envelope.smtpUTF8", did you mean envelope.smtpUtf8?'],
        [{ ...ENVELOPE, dsn: { id: "1" } }, '"dsn.id", use dsn.envid'],
        [{ ...ENVELOPE, dsn: { return: "full" } }, '"dsn.return", use dsn.ret'],
        [
          { ...ENVELOPE, dsn: { recipient: "me@example.com" } },
          '"dsn.recipient", use orcpt for each recipient: { address, orcpt }',
        ],
        [{ ...ENVELOPE, priority: { value: 1 } }, '"priority.value", only level, ifOffered'],
        [{ ...ENVELOPE, deliverBy: { secs: 1 } }, '"deliverBy.secs", only seconds, mode, trace'],
        [
          { ...ENVELOPE, to: [{ address: "you@example.org", name: "You" }] },
          '"recipient.name", leave it out: names are in the header of the message',
        ],
        [{ ...ENVELOPE, to: { email: "you@example.org" } }, '"recipient.email", use address'],
        [
          { ...ENVELOPE, to: { address: "you@example.org", orcpt: { kind: "x" } } },
          '"orcpt.kind", only type, address',
        ],
      ] as [Record<string, unknown>, string][]
    ) {
      const error = await assertRejects(() => client.send(untyped(envelope), MESSAGE), TypeError);
      assertEquals(error.message, `Cannot send: there is no option ${message}`);
    }
    const never = untyped<never>;
    for (
      const [call, message] of [
        [() => client.mail("a@example.com", never({ to: "x" })), "Cannot say MAIL: there is no option"],
        [() => client.mail("a@example.com", never({ dsn: { id: "1" } })), '"dsn.id", use dsn.envid'],
        [
          () => client.bdat(new Uint8Array(), never({ final: true })),
          'Cannot say BDAT: there is no option "final"',
        ],
        [
          () => client.xclient(never({ address: "192.0.2.1" })),
          'Cannot say XCLIENT: there is no option "address"',
        ],
        [() => client.xforward(never({ adr: "192.0.2.1" })), '"adr", did you mean addr?'],
      ] as [() => Promise<unknown>, string][]
    ) {
      await assertRejects(call, TypeError, message);
    }
    await client.mail("me@example.com");
    await assertRejects(
      () => client.rcpt(never({ address: "you@example.org", Notify: "never" })),
      TypeError,
      'there is no option "recipient.Notify", did you mean recipient.notify?',
    );
    await client.reset();
  },
);

test("every hint is for an option that does not exist here", () => {
  for (const [name, hint] of Object.entries(CLIENT_HINTS)) {
    assertThrows(() => readOptions(untyped({ [name]: 1 })), TypeError, `"${name}", ${hint}`);
  }
  for (const [name, hint] of Object.entries(SEND_HINTS)) {
    assertThrows(() => checkSendOptions(untyped({ [name]: 1 })), TypeError, `"${name}", ${hint}`);
  }
  for (const [name, hint] of Object.entries(ENVELOPE_HINTS)) {
    const envelope = untyped<Envelope>({ ...ENVELOPE, [name]: 1 });
    assertThrows(() => checkEnvelopeNames(envelope), TypeError, `"envelope.${name}", ${hint}`);
  }
  for (const [name, hint] of Object.entries(AUTH_HINTS)) {
    assertThrows(() => checkAuth(untyped({ pass: "x", [name]: 1 })), TypeError, `"auth.${name}", ${hint}`);
  }
});
