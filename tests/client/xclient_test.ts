import { assertEquals, assertThrows } from "@std/assert";
import { renderAttributes } from "../../src/client/xclient.ts";
import type { XclientAttributes, XforwardAttributes } from "../../src/client/xclient.ts";
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { test } from "../support/harness.ts";

const EXTENSIONS = Extensions.parse(
  new Reply(250, [
    "mx.test",
    "XCLIENT NAME ADDR PROTO HELO PORT LOGIN DESTADDR DESTPORT",
    "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT",
  ]),
);

function xclient(attributes: XclientAttributes): string[] {
  return renderAttributes("XCLIENT", attributes, EXTENSIONS);
}

function xforward(attributes: XforwardAttributes): string[] {
  return renderAttributes("XFORWARD", attributes, EXTENSIONS);
}

test("renderAttributes() writes every attribute of XCLIENT", () => {
  assertEquals(
    xclient({
      ...{ name: "spike.porcupine.org", addr: "168.100.3.2", port: 1234, proto: "ESMTP", helo: "a b" },
      ...{ login: "jane+x", destAddr: "2001:db8::1", destPort: 25 },
    }),
    [
      "XCLIENT NAME=spike.porcupine.org ADDR=168.100.3.2 PORT=1234 PROTO=ESMTP HELO=a+20b LOGIN=jane+2Bx " +
      "DESTADDR=IPV6:2001:db8::1 DESTPORT=25\r\n",
    ],
  );
});

test("renderAttributes() writes what is not known, and leaves out what is not said", () => {
  assertEquals(xclient({ name: null, login: undefined, port: null } as unknown as XclientAttributes), [
    "XCLIENT NAME=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n",
  ]);
});

test("renderAttributes() writes every attribute of XFORWARD", () => {
  assertEquals(
    xforward({
      name: "a.test",
      addr: "192.0.2.1",
      port: 25,
      proto: "SMTP",
      helo: "b",
      ident: "4X=",
      source: "REMOTE",
    }),
    ["XFORWARD NAME=a.test ADDR=192.0.2.1 PORT=25 PROTO=SMTP HELO=b IDENT=4X+3D SOURCE=REMOTE\r\n"],
  );
});

test("renderAttributes() goes on in another XFORWARD where one would be longer than 512 bytes", () => {
  const lines = xforward({ name: "n".repeat(255), helo: "h".repeat(255), ident: "i" });
  assertEquals(lines, [
    `XFORWARD NAME=${"n".repeat(255)}\r\n`,
    `XFORWARD HELO=${"h".repeat(255)} IDENT=i\r\n`,
  ]);
});

test("renderAttributes() refuses what cannot be said", () => {
  assertThrows(() => xclient({}), TypeError, "there is no attribute");
  assertThrows(
    () => xclient({ name: undefined } as unknown as XclientAttributes),
    TypeError,
    "there is no attribute",
  );
  assertThrows(() => xclient({ helo: "" }), TypeError, "HELO: the value is empty");
  assertEquals(xclient({ helo: "a\r\nDATA" }), ["XCLIENT HELO=a+0D+0ADATA\r\n"]);
});

test("renderAttributes() refuses what the server does not take", () => {
  const none = assertThrows(
    () => renderAttributes("XCLIENT", { name: "a" }, Extensions.none),
    SmtpError,
    "XCLIENT",
  );
  assertEquals([none.code, none.usable], ["extension-missing", true]);
  const few = Extensions.parse(new Reply(250, ["mx.test", "xforward name"]));
  assertEquals(renderAttributes("XFORWARD", { name: "a" }, few), ["XFORWARD NAME=a\r\n"]);
  assertThrows(() => renderAttributes("XFORWARD", { ident: "a" }, few), SmtpError, "XFORWARD IDENT");
});

/** Values that would be more attributes, or another command, if they went as they are. */
const EXPLOITS = [
  "192.0.2.1 LOGIN=admin@victim.test",
  "2001:db8::1 LOGIN=admin@victim.test",
  "192.0.2.1\r\nMAIL FROM:<ceo@victim.test>",
  "192.0.2.1\tLOGIN=admin",
  "25 LOGIN=admin",
  "ESMTP LOGIN=admin",
  "REMOTE IDENT=x",
];

for (
  const [verb, render, keys] of [
    ["XCLIENT", xclient, ["name", "addr", "port", "proto", "helo", "login", "destAddr", "destPort"]],
    ["XFORWARD", xforward, ["name", "addr", "port", "proto", "helo", "ident", "source"]],
  ] as const
) {
  test(`an attribute of ${verb} is never more than one, whatever is in it`, () => {
    for (const key of keys) {
      for (const value of EXPLOITS) {
        const given = { [key]: value } as unknown as XclientAttributes & XforwardAttributes;
        const isText = ["name", "helo", "login", "ident"].includes(key) ||
          (verb === "XFORWARD" && key === "proto");
        if (!isText) {
          assertThrows(() => render(given), TypeError, `Cannot say ${verb}: ${key} must be`);
          continue;
        }
        const [line, ...more] = render(given);
        assertEquals([line!.split(" ").length, line!.split("=").length, more], [2, 2, []], line);
        assertEquals(/^[!-~ ]+\r\n$/.test(line!), true, line);
      }
    }
  });
}

test("addr and destAddr of XCLIENT are IP addresses", () => {
  for (const addr of ["192.0.2.1", "255.255.255.255"]) {
    assertEquals(xclient({ addr }), [`XCLIENT ADDR=${addr}\r\n`]);
  }
  for (const destAddr of ["::", "::1", "2001:db8::1", "::ffff:192.0.2.1", "fe80:0:0:0:1:2:3:4"]) {
    assertEquals(xclient({ destAddr }), [`XCLIENT DESTADDR=IPV6:${destAddr}\r\n`]);
  }
  const others = [
    "",
    " 192.0.2.1",
    "192.0.2.1 ",
    "192.0.2",
    "192.0.2.256",
    "[192.0.2.1]",
    "IPV6:::1",
    "fe80::1%eth0",
  ];
  for (const addr of [...others, "localhost", "::1]", "1::2::3", "[UNAVAILABLE]", 0, {}, [], true]) {
    assertThrows(() => xclient({ addr: addr as string }), TypeError, "addr must be an IP address or null");
  }
});

test("port, proto and source of XCLIENT and XFORWARD are what the command knows", () => {
  for (const port of [0, 65_536, -1, 1.5, NaN, Infinity, "25", "", true]) {
    assertThrows(() => xclient({ port: port as number }), TypeError, "port must be a port from 1 to 65535");
    assertThrows(() => xclient({ destPort: port as number }), TypeError, "destPort must be a port");
  }
  for (const proto of ["smtp", "LMTP", "", null]) {
    assertThrows(() => xclient({ proto: proto as "SMTP" }), TypeError, 'proto must be "SMTP" or "ESMTP"');
  }
  assertThrows(() => xforward({ source: "local" as "LOCAL" }), TypeError, "source must be");
  assertEquals(xforward({ source: null, proto: null }), [
    "XFORWARD SOURCE=[UNAVAILABLE] PROTO=[UNAVAILABLE]\r\n",
  ]);
});

test("a stranger's words do not say that nothing is known of the stranger", () => {
  for (const text of ["[UNAVAILABLE]", "[unavailable]", "[TempUnavail]"]) {
    for (const key of ["helo", "login"] as const) {
      assertThrows(() => xclient({ [key]: text }), TypeError, `${key} must be another text, or null`);
    }
    assertThrows(() => xforward({ ident: text }), TypeError, "ident must be another text, or null");
  }
  assertThrows(() => xclient({ name: "[UNAVAILABLE]" }), TypeError, "name must be another text, or null");
  assertEquals(xclient({ name: "[TEMPUNAVAIL]" }), ["XCLIENT NAME=[TEMPUNAVAIL]\r\n"]);
});

test("renderAttributes() refuses a command whose end a server would drop", () => {
  assertEquals(xclient({ login: "x".repeat(2_032) })[0]!.length, 2_048);
  assertThrows(() => xclient({ login: "x".repeat(2_033) }), RangeError, "up to 2046 characters, it has 2047");
  assertThrows(() => xforward({ helo: " ".repeat(700) }), RangeError, "up to 2046 characters");
  assertThrows(() => xclient({ login: "é" }), RangeError, "beyond ASCII");
});
