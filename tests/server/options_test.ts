import { assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import {
  serve,
  type ServeOptions,
  type ServerHandlers,
  serveSocket,
  type ServeSocketOptions,
} from "../../src/server/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/harness.ts";

const authority = await createAuthority();
const tls = await authority.issue();
const other = await authority.issue();

function refusal(options: unknown, handlers: unknown = {}): string {
  return assertThrows(() => serve(options as ServeOptions, handlers as ServerHandlers), TypeError).message;
}

/** All of smtp-server 3.21's, and a few more. */
const OPTIONS: Record<string, [value: unknown, hint: string]> = {
  secure: [true, 'use security: "tls"'],
  secured: [true, "use serveSocket()"],
  name: ["mx.test", "use serverName"],
  banner: ["hi", "the handler connect"],
  heloResponse: ["%s", "the handler greet"],
  size: [1, "use maxMessageSize"],
  hideSize: [true, 'use hide: ["SIZE"]'],
  rejectOversized: [true, "leave it out"],
  authMethods: [["PLAIN"], "the handler auth"],
  authOptional: [true, "requireAuth"],
  authRequiredMessage: ["", "leave it out"],
  disabledCommands: [["AUTH"], "use hide"],
  hideSTARTTLS: [true, 'use hide: ["STARTTLS"]'],
  hidePIPELINING: [true, 'use hide: ["PIPELINING"]'],
  hide8BITMIME: [true, 'use hide: ["8BITMIME"]'],
  hideSMTPUTF8: [true, 'use hide: ["SMTPUTF8"]'],
  hideENHANCEDSTATUSCODES: [true, 'use hide: ["ENHANCEDSTATUSCODES"]'],
  hideDSN: [true, "not offered"],
  hideREQUIRETLS: [true, "not offered"],
  disableReverseLookup: [true, "not looked up"],
  resolver: [{}, "not looked up"],
  sniOptions: [{}, "one certificate"],
  SNICallback: [() => {}, "one certificate"],
  needsUpgrade: [true, 'use security: "tls"'],
  logger: [true, "use onError"],
  component: ["x", "leave it out"],
  maxClients: [1, "use maxConnections"],
  useProxy: [true, "serveSocket()"],
  ignoredHosts: [[], "leave it out"],
  useXClient: [true, "not offered"],
  useXForward: [true, "not offered"],
  lmtp: [true, "LMTP is not served"],
  socketTimeout: [1, "use timeouts.command"],
  closeTimeout: [1, "use timeouts.shutdown"],
  maxAllowedUnauthenticatedCommands: [1, "use maxUnauthenticatedCommands"],
  maxCommandLength: [1, "use maxLineLength"],
  lenientAddressParsing: [true, "use lenientAddresses"],
  key: [tls.key, "use tls.key"],
  cert: [tls.cert, "use tls.cert"],
  ca: ["x", "use tls.caCerts"],
  requestCert: [true, "use tls.caCerts"],
  rejectUnauthorized: [true, "use tls.caCerts"],
  pfx: ["x", "PEM"],
  passphrase: ["secret", "PEM"],
  host: ["127.0.0.1", "use hostname"],
  listen: [25, "use hostname and port"],
  caCerts: [[], "use tls.caCerts"],
  onAuth: [() => {}, "use auth, in the second argument"],
  onConnect: [() => {}, "use connect, in the second argument"],
  onSecure: [() => {}, "in the second argument"],
  onMailFrom: [() => {}, "use mail, in the second argument"],
  onRcptTo: [() => {}, "use rcpt, in the second argument"],
  onData: [() => {}, "use message, in the second argument"],
  onClose: [() => {}, "use close, in the second argument"],
  rcpt: [() => {}, "use rcpt, in the second argument"],
  message: [() => {}, "use message, in the second argument"],
  requireTLS: [true, "use requireTls"],
  maxConnection: [1, "did you mean maxConnections?"],
  lenientAdresses: [true, "did you mean lenientAddresses?"],
  foo: [1, "only protocol, serverName,"],
};

test("serve() says what to use instead of an option that does not exist", () => {
  for (const [name, [value, hint]] of Object.entries(OPTIONS)) {
    const message = refusal({ [name]: value });
    assertStringIncludes(message, `Cannot serve: there is no option "${name}", `);
    assertStringIncludes(message, hint);
    assertEquals(message.includes("secret") || message.includes("PRIVATE KEY"), false);
  }
});

test("serve() says what to use instead of an option of tls or timeouts that does not exist", () => {
  for (
    const [options, message] of [
      [{ tls: { ...tls, ca: "x" } }, 'there is no option "tls.ca", use tls.caCerts'],
      [
        { tls: { ...tls, requestCert: true } },
        "use tls.caCerts, and tls.clientCertificate: clients must then show a certificate",
      ],
      [{ tls: { ...tls, keys: "x" } }, 'there is no option "tls.keys", did you mean tls.key?'],
      [{ tls: "pem" }, "tls must be an object, the current value is a string"],
      [{ timeouts: { idle: 1 } }, 'there is no option "timeouts.idle", use timeouts.command'],
      [{ timeouts: { comand: 1 } }, "did you mean timeouts.command?"],
      [{ timeouts: 1000 }, "timeouts must be an object, the current value is 1000"],
    ] as const
  ) assertStringIncludes(refusal(options), message);
});

test("serve() says which handler was meant", () => {
  const f = () => {};
  for (
    const [handlers, message] of [
      [{ onData: f }, 'there is no option "handlers.onData", use message'],
      [{ onRcptTo: f, onMailFrom: f }, 'there is no option "handlers.onMailFrom", use mail'],
      [{ onAuth: f }, "use auth"],
      [{ onConnect: f }, "use connect"],
      [{ onClose: f }, "use close"],
      [{ data: f }, "use message"],
      [{ handle_DATA: f }, "use message"],
      [{ recpt: f }, "did you mean handlers.rcpt?"],
      [{ port: 25 }, "an option: use it in the first argument"],
      [f, "handlers must be an object, the current value is a function"],
      [[], "handlers must be an object, the current value is an array"],
      [null, "handlers must be an object, the current value is null"],
      [{ rcpt: true }, "handlers.rcpt must be a function, the current value is true"],
      [
        new class {
          onData(): void {}
        }(),
        'there is no handler "onData", use message',
      ],
    ] as const
  ) assertStringIncludes(refusal({}, handlers), message);
});

test("serve() lets a class have fields and methods of its own beside its handlers", async () => {
  class Mailbox {
    readonly store: string[] = [];
    data = 1;
    onion = 2;
    rcpt(): void {
      this.deliver();
    }
    deliver(): void {}
  }
  await using server = serve({ port: undefined } as unknown as ServeOptions, new Mailbox());
  await server.listening;
});

test("serve() refuses options of the wrong kind by name", () => {
  for (
    const [options, message] of [
      [null, "options must be an object"],
      [25, "options must be an object, the current value is 25"],
      [() => {}, "options must be an object, the current value is a function"],
      [{ hostname: "" }, "hostname must be a text that is not empty"],
      [{ hostname: "smtp://me:s3cr3t@mx.test" }, "address, not a URL: use hostname, port and security"],
      [{ path: "smtp://me:s3cr3t@mx.test" }, "path, not a URL: use hostname, port and security"],
      [{ hostname: null }, "no control characters, the current value is null"],
      [{ hostname: "a\0b" }, "hostname must be a text that is not empty and has no control characters"],
      [{ path: "/tmp/a\0b" }, String.raw`the current value is "/tmp/a\x00b"`],
      [{ path: "" }, "path must be a text that is not empty"],
      [{ path: "/x", port: 0 }, "path and hostname or port contradict each other"],
      [{ hide: "SIZE" }, 'hide must be an array of strings, the current value is "SIZE"'],
      [{ signal: new AbortController() }, "signal must be an AbortSignal, the current value is an object"],
      [{ onError: true }, "onError must be a function"],
      [{ onListen: "x" }, "onListen must be a function"],
      [{ requireTls: "no" }, 'requireTls must be true or false, the current value is "no"'],
      [{ lenientAddresses: 1 }, "lenientAddresses must be true or false, the current value is 1"],
      [{ serverName: 1 }, "serverName must be a domain name or an address literal"],
      [{ requireTls: true }, "requireTls needs TLS, give a certificate in tls"],
      [{ requireTls: true, tls, hide: ["starttls"] }, "requireTls needs TLS"],
    ] as const
  ) assertStringIncludes(refusal(options), message);
  assertStringIncludes(refusal({ requireAuth: true }, { auth: () => true }), "requireAuth needs TLS");
});

test("serve() refuses a certificate and a key that are none, or do not belong together", () => {
  const broken = (pem: string, label: string) =>
    `-----BEGIN ${label}-----\nMAA=\n-----END ${label}-----\n${pem.slice(0, 0)}`;
  for (
    const [wrong, message] of [
      [{ cert: tls.cert, key: other.key }, "tls.key is the key of another certificate than tls.cert"],
      [{ cert: `${other.cert}\n${tls.cert}`, key: tls.key }, "whose first certificate must be the server's"],
      [{ cert: "cert.pem", key: tls.key }, "tls.cert must be one or more certificates in PEM"],
      [{ cert: tls.cert, key: "key.pem" }, "tls.key must be a private key in PEM"],
      [{ cert: tls.key, key: tls.cert }, "tls.cert must be one or more certificates in PEM"],
      [{ cert: new TextEncoder().encode(tls.cert), key: tls.key }, "is of type object"],
      [
        { key: tls.key },
        "tls.cert must be one or more certificates in PEM, the current value is of type undefined",
      ],
      [{ cert: broken("", "CERTIFICATE"), key: tls.key }, "tls.cert is PEM, and cannot be read"],
      [{ cert: tls.cert, key: broken("", "PRIVATE KEY") }, "tls.key is PEM, and cannot be read"],
      [{ ...tls, caCerts: [] }, "tls.caCerts must be one or more certificates in PEM"],
      [{ ...tls, caCerts: "ca.pem" }, "tls.caCerts must be one or more certificates in PEM"],
    ] as const
  ) {
    for (const security of ["starttls", "tls"] as const) {
      const text = refusal({ security, tls: wrong });
      assertStringIncludes(text, message);
      assertEquals(text.includes(tls.key.slice(40, 60)), false);
    }
  }
});

test("serve() takes caCerts as one text, and a chain after the certificate", async () => {
  await using server = serve({
    tls: { cert: `${tls.cert}\n${authority.cert}`, key: tls.key, caCerts: authority.cert },
  });
  await server.listening;
});

test("serveSocket() refuses options that do not exist, those of serve() too", () => {
  for (
    const [options, message] of [
      [{ port: 25 }, 'there is no option "port", only serve() has it'],
      [{ tls }, 'there is no option "tls", the socket does TLS'],
      [{ size: 10 }, "use maxMessageSize"],
      [{ onData: () => {} }, "use message, in the second argument"],
    ] as const
  ) {
    const [, server] = memorySocketPair();
    const error = assertThrows(() => serveSocket(server, options as unknown as ServeSocketOptions));
    assertInstanceOf(error, TypeError);
    assertStringIncludes(error.message, message);
  }
});
