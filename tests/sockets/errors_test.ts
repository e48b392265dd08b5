import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { normalizeError } from "../../src/sockets/errors.ts";
import { SocketError, type SocketErrorCode } from "../../src/sockets/socket.ts";
import { test } from "../support/harness.ts";

function coded(code: string, message = "message"): Error {
  return Object.assign(new Error(message), { code });
}

function named(name: string, message = "message"): Error {
  return Object.assign(new Error(message), { name });
}

// As the runtimes give them: Node 24, Bun 1.4.5, Deno 2.9.6.
const cases: [string, unknown, SocketErrorCode][] = [
  ["Node: refused", coded("ECONNREFUSED"), "connection-refused"],
  [
    "Node: all addresses refused",
    new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")]),
    "connection-refused",
  ],
  ["Node: reset", coded("ECONNRESET"), "connection-reset"],
  ["Node: broken pipe", coded("EPIPE"), "connection-reset"],
  ["Node: timed out", coded("ETIMEDOUT"), "timed-out"],
  ["Node: no such name", coded("ENOTFOUND"), "host-not-found"],
  ["Node: no resolver", coded("EAI_AGAIN"), "host-not-found"],
  ["Node: no route", coded("EHOSTUNREACH"), "unreachable"],
  ["Node: not permitted", coded("EACCES"), "not-permitted"],
  ["Node: untrusted", coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "certificate-untrusted"],
  ["Node: self-signed", coded("DEPTH_ZERO_SELF_SIGNED_CERT"), "certificate-untrusted"],
  ["Node: wrong name", coded("ERR_TLS_CERT_ALTNAME_INVALID"), "certificate-name"],
  ["Node: expired", coded("CERT_HAS_EXPIRED"), "certificate-expired"],
  ["Node: not TLS", coded("ERR_SSL_WRONG_VERSION_NUMBER"), "tls-failed"],
  ["Node: aborted", coded("ABORT_ERR"), "aborted"],
  ["Node: a code nobody knows", coded("EWHATEVER"), "network"],
  ["Node: a code that Object has", coded("constructor"), "network"],
  ["Deno: refused", named("ConnectionRefused"), "connection-refused"],
  ["Deno: no unix socket", named("NotFound"), "connection-refused"],
  ["Deno: reset", named("ConnectionReset"), "connection-reset"],
  ["Deno: broken pipe", named("BrokenPipe"), "connection-reset"],
  ["Deno: timed out", named("TimedOut"), "timed-out"],
  [
    "Deno: no such name",
    new Error("failed to lookup address information: Name or service not known"),
    "host-not-found",
  ],
  ["Deno: no permission", named("NotCapable", `Requires net access to "mx.test:25"`), "not-permitted"],
  [
    "Deno: untrusted",
    named("InvalidData", "invalid peer certificate: UnknownIssuer"),
    "certificate-untrusted",
  ],
  [
    "Deno: self-signed",
    named("InvalidData", "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))"),
    "certificate-untrusted",
  ],
  [
    "Deno: wrong name",
    named(
      "InvalidData",
      `invalid peer certificate: certificate not valid for name "a.test"; certificate is only valid for DnsName("b.test")`,
    ),
    "certificate-name",
  ],
  [
    "Deno: expired",
    named(
      "InvalidData",
      "invalid peer certificate: certificate expired: verification time 1780000000 (UNIX)",
    ),
    "certificate-expired",
  ],
  ["no error at all", "text", "network"],
  ["nothing", undefined, "network"],
];
for (const [what, error, code] of cases) {
  test(`normalizeError() understands ${what}`, () => {
    const normalized = normalizeError(error);
    assertEquals(normalized.code, code);
    assertStrictEquals(normalized.cause, error);
  });
}

test("normalizeError() gives a SocketError, whatever was thrown", () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = {
    get message() {
      throw new Error("read");
    },
  };
  const nullMessage = Object.assign(new Error("x"), { message: null });
  for (const thrown of [nullMessage, throwing, revoked.proxy, Object.create(null), null, Symbol("x")]) {
    assertEquals(normalizeError(thrown).code, "network");
    assertEquals(normalizeError(new AggregateError([thrown])).code, "network");
  }
});

test("normalizeError() calls an unknown error of the handshake tls-failed", () => {
  assertEquals(normalizeError(new Error("?"), { handshake: "first" }).code, "tls-failed");
  assertEquals(normalizeError(coded("ECONNRESET"), { handshake: "first" }).code, "connection-reset");
});

test("normalizeError() says what, where and why", () => {
  const { message } = normalizeError(coded("ECONNREFUSED", "connect ECONNREFUSED"), { target: "mx.test:25" });
  assertEquals(message, "Connection refused (mx.test:25): connect ECONNREFUSED");
  assertEquals(normalizeError(coded("ECONNREFUSED", "")).message, "Connection refused");
});

for (
  const [error, expected] of [
    [coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify"), /give its certificate as tls\.caCerts$/],
    [
      coded("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"),
      /as tls\.caCerts, or .* as tls\.fingerprints$/,
    ],
    [
      named("InvalidData", "invalid peer certificate: UnknownIssuer"),
      /tls\.caCerts, or .* as tls\.fingerprints$/,
    ],
    [coded("CERT_HAS_EXPIRED"), /needs a new one, .*tls\.fingerprints/],
    [coded("ERR_TLS_CERT_ALTNAME_INVALID"), /give that name as tls\.serverName$/],
  ] as const
) {
  test(`normalizeError() says what to do about ${error.message} (${(error as { code?: string }).code ?? ""})`, () => {
    assertMatch(normalizeError(error, { target: "mx.test:25" }).message, expected);
  });
}

for (
  const error of [
    coded(
      "ERR_SSL_WRONG_VERSION_NUMBER",
      "40DD:error:0A00010B:SSL routines::wrong version number:../deps:77:\n",
    ), // Node
    coded("EPROTO", "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"), // Bun
    named("InvalidData", "received corrupt message of type InvalidContentType"), // Deno
  ]
) {
  test(`normalizeError() names security where the server does not begin with TLS: ${error.message.trim()}`, () => {
    const at = (handshake: "first" | "later") => normalizeError(error, { handshake, target: "mx.test:587" });
    assertEquals([at("first").code, at("later").code], ["tls-failed", "tls-failed"]);
    assertMatch(at("first").message, /^TLS failed \(mx\.test:587\): .* use security: "starttls"/);
    assertEquals(at("later").message.includes("security"), false);
  });
}

test("normalizeError() returns a SocketError as it is", () => {
  const error = new SocketError("aborted", "Enough");
  assertStrictEquals(normalizeError(error), error);
});
