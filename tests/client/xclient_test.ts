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
  assertThrows(() => xclient({ addr: "192.0.2.1\r\nDATA" }), TypeError, "control character");
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
