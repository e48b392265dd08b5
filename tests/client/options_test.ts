import { assertEquals, assertThrows } from "@std/assert";
import { readOptions } from "../../src/client/options.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { test } from "../support/harness.ts";

const auth = { user: "tim@example.com", pass: "correct horse" };

test("readOptions() chooses the protection and the port that suit each other", () => {
  for (
    const [options, security, address] of [
      [{}, "opportunistic", { hostname: "localhost", port: 587 }],
      [{ port: 25 }, "opportunistic", { hostname: "localhost", port: 25 }],
      [{ port: 465 }, "tls", { hostname: "localhost", port: 465 }],
      [{ security: "tls" }, "tls", { hostname: "localhost", port: 465 }],
      [{ auth }, "starttls", { hostname: "localhost", port: 587 }],
      [{ path: "/run/lmtp" }, "none", { path: "/run/lmtp" }],
      [{ path: "/run/lmtp", auth }, "starttls", { path: "/run/lmtp" }],
      [{ path: "/run/lmtp", security: "starttls" }, "starttls", { path: "/run/lmtp" }],
    ] as [SmtpClientOptions, string, unknown][]
  ) {
    const settings = readOptions(options);
    assertEquals([settings.security, settings.address], [security, address]);
  }
});

test("readOptions() refuses what makes no sense, by name", () => {
  for (
    const [options, kind, message] of [
      [{ security: "ssl" }, TypeError, "security must be one of tls, starttls, opportunistic, none"],
      [{ protocol: "esmtp" }, TypeError, 'protocol must be "smtp" or "lmtp"'],
      [{ transfer: "burl" }, TypeError, 'transfer must be "auto", "data" or "bdat"'],
      [{ security: null }, TypeError, "security must be one of tls, starttls, opportunistic, none"],
      [{ clientName: 5 }, TypeError, "clientName must be a domain or an address literal"],
      [{ clientName: null }, TypeError, "clientName must be a domain or an address literal"],
      [{ keepAlive: "no" }, TypeError, "keepAlive must be a boolean"],
      [{ clientName: "not a name" }, TypeError, "clientName must be a domain or an address literal"],
      [{ security: "none", tls: {} }, TypeError, 'tls has no meaning with security "none"'],
      [{ logger: false }, TypeError, "debug: use console, or leave it out; the current value is false"],
      [{ logger: null }, TypeError, "debug: use console, or leave it out; the current value is null"],
      [{ logger: { debug() {} } }, TypeError, "logger must have the method info"],
      [{ tls: { caCerts: "x" } }, TypeError, "caCerts must be one or more certificates in PEM"],
      [{ tls: { fingerprints: ["x"] } }, TypeError, "fingerprints[0] must be SHA-256"],
      [{ maxInFlight: 0 }, RangeError, "maxInFlight must be a whole number from 1"],
      [{ maxBytesInFlight: 1.5 }, RangeError, "maxBytesInFlight must be a whole number from 1"],
      [{ timeouts: { mail: 0 } }, RangeError, "timeouts.mail must be a number of milliseconds above 0"],
      [{ maxLineLength: 0 }, RangeError, "maxLineLength must be a whole number from 1 up"],
      [{ maxReplyLength: -1 }, RangeError, "maxReplyLength must be a whole number from 1 up"],
    ] as [object, typeof TypeError, string][]
  ) {
    assertThrows(() => readOptions(options as SmtpClientOptions), kind, message);
  }
});

test("readOptions() waits a minute for the greeting and as long as RFC 5321 says for the rest", () => {
  const { timeouts, connectTimeout } = readOptions({});
  assertEquals(timeouts.greeting, 60_000);
  const { mail, rcpt, data, block, end } = timeouts;
  assertEquals({ mail, rcpt, data, block, end }, {
    mail: 300_000,
    rcpt: 300_000,
    data: 120_000,
    block: 180_000,
    end: 600_000,
  });
  assertEquals([connectTimeout, timeouts.command, timeouts.quit], [120_000, 300_000, 5_000]);
  assertEquals(readOptions({ timeouts: { greeting: 300_000 } }).timeouts.greeting, 300_000);
});
