import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { mailParameters, rcptParameters } from "../../src/core/parameters.ts";
import type { DsnRequest, MailParameters, Parameter, RcptParameters } from "../../src/core/parameters.ts";
import { test } from "../support/unwatched.ts";

/** `EXTENSION? KEYWORD=VALUE`; with `?` it is left out if the extension is not offered. */
function show({ extension, keyword, value, ifOffered }: Parameter): string {
  return `${extension}${ifOffered ? "?" : ""} ${value === true ? keyword : `${keyword}=${value}`}`;
}

for (
  const [wanted, ...expected] of [
    [{}],
    [{ size: 5, body: "7bit", smtpUtf8: true }],
    [{ dsn: {} }],
    [{ dsn: { ifOffered: true, notify: "never" } }],
    [{ dsn: { ret: "full" } }, "DSN RET=FULL"],
    [{ dsn: { ret: "headers", ifOffered: true } }, "DSN? RET=HDRS"],
    [{ dsn: { envid: "QQ314159" } }, "DSN ENVID=QQ314159"],
    [{ dsn: { envid: "a+b =c" } }, "DSN ENVID=a+2Bb+20+3Dc"],
    [{ dsn: { ret: "full", envid: "x", ifOffered: true } }, "DSN? RET=FULL", "DSN? ENVID=x"],
    [{ dsn: { envid: "x".repeat(100) } }, `DSN ENVID=${"x".repeat(100)}`],
    [{ requireTls: true }, "REQUIRETLS REQUIRETLS"],
    [{ requireTls: false }],
    [{ priority: 0 }, "MT-PRIORITY MT-PRIORITY=0"],
    [{ priority: 9 }, "MT-PRIORITY MT-PRIORITY=9"],
    [{ priority: { level: -9 } }, "MT-PRIORITY MT-PRIORITY=-9"],
    [{ priority: { level: 3, ifOffered: true } }, "MT-PRIORITY? MT-PRIORITY=3"],
    [{ deliverBy: { seconds: 120, mode: "return" } }, "DELIVERBY BY=120;R"],
    [{ deliverBy: { seconds: 1, mode: "return", trace: true } }, "DELIVERBY BY=1;RT"],
    [{ deliverBy: { seconds: 0, mode: "notify" } }, "DELIVERBY BY=0;N"],
    [{ deliverBy: { seconds: -999_999_999, mode: "notify", trace: true } }, "DELIVERBY BY=-999999999;NT"],
    [{ deliverBy: { seconds: 999_999_999, mode: "return" } }, "DELIVERBY BY=999999999;R"],
    [{ holdFor: 1 }, "FUTURERELEASE HOLDFOR=1"],
    [{ holdFor: 999_999_999 }, "FUTURERELEASE HOLDFOR=999999999"],
    [
      { holdUntil: new Date("2026-12-24T18:00:00.999+01:00") },
      "FUTURERELEASE HOLDUNTIL=2026-12-24T17:00:00Z",
    ],
    [{ auth: null }, "AUTH AUTH=<>"],
    [{ auth: "e=mc2@example.com" }, "AUTH AUTH=e+3Dmc2@example.com"],
    [{ auth: "me@bücher.example" }, "AUTH AUTH=me@xn--bcher-kva.example"],
    [{ parameters: { "xverp": true, "X-Key": "Value" } }, " XVERP", " X-KEY=Value"],
    [{ parameters: {} }],
    [
      { parameters: { X: "1" }, auth: null, priority: 1, requireTls: true, dsn: { ret: "full" } },
      "DSN RET=FULL",
      "REQUIRETLS REQUIRETLS",
      "MT-PRIORITY MT-PRIORITY=1",
      "AUTH AUTH=<>",
      " X=1",
    ],
  ] as [MailParameters, ...string[]][]
) {
  test(`mailParameters() reads ${JSON.stringify(wanted).slice(0, 90)}`, () => {
    assertEquals(mailParameters(wanted).map(show), expected);
  });
}

for (
  const [what, wanted, kind, message] of [
    [
      "an unknown ret",
      { dsn: { ret: "none" } },
      TypeError,
      'dsn.ret must be "full" or "headers", the current value is "none"',
    ],
    ["an empty envid", { dsn: { envid: "" } }, TypeError, "dsn.envid must be printable ASCII text"],
    [
      "an envid with a line end",
      { dsn: { envid: "a\r\nDATA" } },
      TypeError,
      'the current value is "a\\r\\nDATA"',
    ],
    ["an envid beyond ASCII", { dsn: { envid: "ü" } }, TypeError, "printable ASCII"],
    ["a long envid", { dsn: { envid: "x".repeat(101) } }, RangeError, "the current value has 101"],
    [
      "an envid that is too long as xtext",
      { dsn: { envid: "+".repeat(34) } },
      RangeError,
      "the current value has 102",
    ],
    ["a priority of 10", { priority: 10 }, RangeError, "from -9 to 9, the current value is 10"],
    ["a priority of 1.5", { priority: { level: 1.5 } }, RangeError, "the current value is 1.5"],
    ["a priority that is no number", { priority: "3" }, RangeError, 'the current value is "3"'],
    ["0 seconds to return", { deliverBy: { seconds: 0, mode: "return" } }, RangeError, "from 1 to"],
    [
      "half a second",
      { deliverBy: { seconds: 0.5, mode: "notify" } },
      RangeError,
      "the current value is 0.5",
    ],
    [
      "ten digits",
      { deliverBy: { seconds: 1_000_000_000, mode: "notify" } },
      RangeError,
      "the current value is 1000000000",
    ],
    [
      "an unknown mode",
      { deliverBy: { seconds: 9, mode: "R" } },
      TypeError,
      'deliverBy.mode must be "return" or "notify"',
    ],
    ["a hold of no time", { holdFor: 0 }, RangeError, "holdFor must be a whole number of seconds"],
    ["a hold of half a second", { holdFor: 0.5 }, RangeError, "the current value is 0.5"],
    ["an invalid date", { holdUntil: new Date(NaN) }, TypeError, "holdUntil must be a valid Date"],
    ["a date that is text", { holdUntil: "2026-01-01" }, TypeError, "holdUntil must be a valid Date"],
    ["both holds", { holdFor: 1, holdUntil: new Date(0) }, TypeError, "contradict each other"],
    ["a submitter who is no address", { auth: "me" }, SyntaxError, "me"],
    ["a submitter beyond ASCII", { auth: "jörg@b.test" }, TypeError, "auth must be an address in ASCII"],
    ["a parameter twice", { auth: null, parameters: { auth: "x" } }, TypeError, "AUTH: it is given twice"],
    ["an unknown one twice", { parameters: { x: "1", X: "2" } }, TypeError, "X: it is given twice"],
  ] as unknown as [string, MailParameters, ErrorConstructor, string][]
) {
  test(`mailParameters() refuses ${what}`, () => {
    assertThrows(() => mailParameters(wanted), kind, message);
  });
}

for (
  const [wanted, dsn, smtpUtf8, ...expected] of [
    [{}, undefined, false],
    [{}, { ret: "full" }, false],
    [{}, { notify: ["failure"] }, false, "DSN NOTIFY=FAILURE"],
    [{ notify: "never" }, { notify: ["failure"], ifOffered: true }, false, "DSN? NOTIFY=NEVER"],
    [{ notify: ["success", "failure", "delay"] }, undefined, false, "DSN NOTIFY=SUCCESS,FAILURE,DELAY"],
    [{ notify: ["delay", "delay"] }, undefined, false, "DSN NOTIFY=DELAY"],
    [{ orcpt: "a+b@c.test" }, undefined, false, "DSN ORCPT=rfc822;a+2Bb@c.test"],
    [{ orcpt: "a@bücher.example" }, { ifOffered: true }, true, "DSN? ORCPT=rfc822;a@xn--bcher-kva.example"],
    [{ orcpt: "jörg@b.test" }, undefined, true, "DSN ORCPT=utf-8;jörg@b.test"],
    [{ orcpt: "jörg@b.test" }, undefined, false, "DSN ORCPT=utf-8;j\\x{F6}rg@b.test"],
    [{ orcpt: { type: "x400", address: "/c=us/" } }, undefined, false, "DSN ORCPT=x400;/c+3Dus/"],
    [{ parameters: { rrvs: "2014-04-03T23:01:00Z" } }, undefined, false, " RRVS=2014-04-03T23:01:00Z"],
  ] as [RcptParameters, DsnRequest | undefined, boolean, ...string[]][]
) {
  test(`rcptParameters() reads ${JSON.stringify([wanted, dsn, smtpUtf8])}`, () => {
    assertEquals(rcptParameters(wanted, dsn, smtpUtf8).map(show), expected);
  });
}

for (
  const [what, wanted, kind, message] of [
    ["no condition", { notify: [] }, TypeError, 'notify must be "never" or some of success, failure, delay'],
    ["never among others", { notify: ["never", "delay"] }, TypeError, "notify must be"],
    ["a condition in capitals", { notify: ["FAILURE"] }, TypeError, "notify must be"],
    ["a condition alone", { notify: "failure" }, TypeError, 'the current value is "failure"'],
    ["an address that is not valid", { orcpt: "jane" }, SyntaxError, "jane"],
    [
      "a kind that is no word",
      { orcpt: { type: "a;b", address: "c" } },
      TypeError,
      "orcpt.type must be a word",
    ],
    ["a kind that is empty", { orcpt: { type: "", address: "c" } }, TypeError, "orcpt.type must be a word"],
    [
      "an address that is too long",
      { orcpt: { type: "x", address: "c".repeat(499) } },
      RangeError,
      "the current value has 501",
    ],
    ["ORCPT twice", { orcpt: "a@b.test", parameters: { orcpt: "x" } }, TypeError, "ORCPT: it is given twice"],
    ["an unknown one twice", { parameters: { y: true, Y: true } }, TypeError, "Y: it is given twice"],
  ] as unknown as [string, RcptParameters, ErrorConstructor, string][]
) {
  test(`rcptParameters() refuses ${what}`, () => {
    assertThrows(() => rcptParameters(wanted, undefined, false), kind, message);
  });
}

test("mailParameters() writes an envid that a server reads as it was, whatever it is", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..." !+=~aZ9;<>"), minLength: 1, maxLength: 33 }),
      (envid) => {
        const [parameter] = mailParameters({ dsn: { envid } });
        const decoded = String(parameter!.value)
          .replace(/\+([0-9A-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
        assertEquals(decoded, envid);
      },
    ),
  );
});
