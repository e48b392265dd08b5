import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Extensions } from "../../src/core/extensions.ts";
import { Reply } from "../../src/core/reply.ts";
import { ReplyDecoder } from "../../src/core/reply_decoder.ts";
import { test } from "../support/unwatched.ts";

function parse(...lines: string[]): Extensions {
  return Extensions.parse(new Reply(250, ["mx.example.org", ...lines]));
}

test("Extensions.parse() reads the reply of a modern server", () => {
  const extensions = Extensions.parse(
    new Reply(250, [
      "mx.example.org greets client.example",
      "PIPELINING",
      "SIZE 35882577",
      "8BITMIME",
      "BINARYMIME",
      "CHUNKING",
      "SMTPUTF8",
      "DSN",
      "ENHANCEDSTATUSCODES",
      "STARTTLS",
      "REQUIRETLS",
      "AUTH SCRAM-SHA-256 PLAIN LOGIN",
      "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1",
      "DELIVERBY 240",
      "FUTURERELEASE 1036800 2027-12-24T11:00:00Z",
      "MT-PRIORITY MIXER",
      "X-EXPS GSSAPI NTLM",
    ]),
  );
  assertEquals(extensions.domain, "mx.example.org");
  assertEquals(extensions.pipelining, true);
  assertEquals(extensions.size, 35_882_577);
  assertEquals(extensions.eightBitMime, true);
  assertEquals(extensions.binaryMime, true);
  assertEquals(extensions.chunking, true);
  assertEquals(extensions.smtpUtf8, true);
  assertEquals(extensions.dsn, true);
  assertEquals(extensions.enhancedStatusCodes, true);
  assertEquals(extensions.startTls, true);
  assertEquals(extensions.requireTls, true);
  assertEquals(extensions.auth, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
  assertEquals(extensions.limits, { rcptMax: 20, mailMax: 5, rcptDomainMax: 1 });
  assertEquals(extensions.deliverBy, 240);
  assertEquals(extensions.futureRelease, { maxInterval: 1_036_800, maxDateTime: "2027-12-24T11:00:00Z" });
  assertEquals(extensions.mtPriority, "MIXER");
  assertEquals(extensions.has("x-exps"), true);
  assertEquals(extensions.get("X-Exps"), "GSSAPI NTLM");
  assertEquals([...extensions.keywords()].length, 16);
});

test("Extensions.none has none", () => {
  const { none } = Extensions;
  assertEquals([...none.keywords()], []);
  assertEquals(none.domain, "");
  assertEquals(none.auth, []);
  assertEquals(none.limits, {});
  for (
    const value of [none.size, none.deliverBy, none.futureRelease, none.mtPriority, none.get("SIZE")]
  ) assertEquals(value, undefined);
  for (
    const value of [
      none.pipelining,
      none.chunking,
      none.eightBitMime,
      none.binaryMime,
      none.smtpUtf8,
      none.dsn,
      none.enhancedStatusCodes,
      none.startTls,
      none.requireTls,
      none.has("PIPELINING"),
    ]
  ) assertEquals(value, false);
});

test("Extensions.parse() never takes the greeting for an extension", () => {
  assertEquals([...Extensions.parse(new Reply(250, "STARTTLS AUTH SIZE 8BITMIME")).keywords()], []);
  const extensions = Extensions.parse(new Reply(250, ["STARTTLS PIPELINING", "DSN"]));
  assertEquals(extensions.domain, "STARTTLS");
  assertEquals(extensions.startTls, false);
  assertEquals(extensions.pipelining, false);
  assertEquals([...extensions.keywords()], ["DSN"]);
});

test("Extensions.parse() takes keywords and mechanisms in any case", () => {
  const extensions = parse("pipelining", "Size 10", "auth plain Login", "limits rcptmax=3");
  assertEquals(extensions.pipelining, true);
  assertEquals(extensions.size, 10);
  assertEquals(extensions.auth, ["PLAIN", "LOGIN"]);
  assertEquals(extensions.limits, { rcptMax: 3 });
});

test("Extensions.parse() takes the AUTH= of old servers, alone and beside AUTH", () => {
  assertEquals(parse("AUTH=LOGIN PLAIN").auth, ["LOGIN", "PLAIN"]);
  assertEquals(parse("AUTH LOGIN", "AUTH=LOGIN PLAIN").auth, ["LOGIN", "PLAIN"]);
  assertEquals(parse("AUTH=LOGIN", "AUTH CRAM-MD5").auth, ["LOGIN", "CRAM-MD5"]);
  assertEquals(parse("AUTH").auth, []);
});

test("Extensions.parse() takes the mechanisms of a second AUTH where the first names none", () => {
  assertEquals(parse("AUTH", "AUTH=LOGIN").auth, ["LOGIN"]);
  assertEquals(parse("AUTH=", "DSN", "AUTH PLAIN").get("auth"), "PLAIN");
});

test("Extensions.parse() does not make ASCII of letters beyond it", () => {
  // "ſ" and "ı" become S and I in upper case.
  const extensions = parse("ſTARTTLS", "PıPELINING", "AUTH PLAıN PLAIN x@y");
  assertEquals([...extensions.keywords()], ["AUTH"]);
  assertEquals(extensions.auth, ["PLAIN"]);
});

test("Extensions.parse() passes over lines that are none", () => {
  const extensions = parse(
    "",
    " PIPELINING",
    "-DSN",
    "=x",
    "@x",
    "STARTTLS;x",
    "X_FOO bar",
    "XA",
    "\tCHUNKING",
  );
  assertEquals([...extensions.keywords()], ["X_FOO", "XA"]);
});

test("Extensions.parse() takes the first of a keyword that is repeated", () => {
  assertEquals(parse("SIZE 10", "SIZE 20").size, 10);
});

test("Extensions.parse() does without a domain", () => {
  assertEquals(Extensions.parse(new Reply(250, ["", "DSN"])).domain, "");
  assertEquals(Extensions.parse(new Reply(250, ["  mx\tx", "DSN"])).domain, "mx");
});

test("Extensions.size is undefined where there is no limit to count with", () => {
  for (const line of ["SIZE", "SIZE 0", "SIZE x", "SIZE -1", "SIZE 1e3", "SIZE 99999999999999999999"]) {
    assertEquals([line, parse(line).size], [line, undefined]);
    assertEquals(parse(line).has("SIZE"), true);
  }
  assertEquals(parse("SIZE 00010").size, 10);
  assertEquals(parse("SIZE  1000  x").size, 1000);
  assertEquals(parse("SIZE=1000").size, 1000);
});

test("Extensions.limits passes over what is no limit", () => {
  assertEquals(parse("LIMITS RCPTMAX=0 MAILMAX= =3 RCPTDOMAINMAX=-1 FOO=7 MAILMAX RCPTMAX=9x").limits, {});
  assertEquals(parse("LIMITS").limits, {});
});

test("Extensions.deliverBy is 0 where any time will do", () => {
  assertEquals(parse("DELIVERBY").deliverBy, 0);
  assertEquals(parse("DELIVERBY 0").deliverBy, 0);
  assertEquals(parse("DELIVERBY x").deliverBy, undefined);
});

test("Extensions.futureRelease needs both parameters", () => {
  assertEquals(parse("FUTURERELEASE").futureRelease, undefined);
  assertEquals(parse("FUTURERELEASE 100").futureRelease, undefined);
  assertEquals(parse("FUTURERELEASE x 2027-12-24T11:00:00Z").futureRelease, undefined);
});

test("Extensions.mtPriority is empty for the server's own profile", () => {
  assertEquals(parse("MT-PRIORITY").mtPriority, "");
});

test("Extensions knows nothing that the server did not say", () => {
  for (const name of ["constructor", "__proto__", "toString", ""]) {
    assertEquals(parse("DSN").has(name), false);
    assertEquals(parse("DSN").get(name), undefined);
  }
});

test("Extensions.parse() takes as many as a reply can hold", () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `X${i}`);
  assertEquals([...parse(...lines).keywords()], lines);
  const mechanisms = Array.from({ length: 20_000 }, (_, i) => `M${i}`);
  assertEquals(parse(...mechanisms.map((name) => `AUTH ${name}`)).auth, mechanisms);
});

test("Extensions.parse() reads a reply whose codes are followed by tabs or nothing", () => {
  const decoder = new ReplyDecoder();
  const wire = "250-mx.test\thello\r\n250-AUTH\tPLAIN\tLOGIN\r\n250-SIZE\t1000\r\n250\tPIPELINING\r\n";
  decoder.push(new TextEncoder().encode(wire + "250-\r\n250DSN\r\n"));
  const extensions = Extensions.parse(decoder.next()!);
  assertEquals(extensions.domain, "mx.test");
  assertEquals([...extensions.keywords()], ["AUTH", "SIZE", "PIPELINING"]);
  assertEquals(extensions.auth, ["PLAIN", "LOGIN"]);
  assertEquals(extensions.size, 1000);
  assertEquals(Extensions.parse(decoder.next()!).dsn, true);
});

test("Extensions.parse() agrees with a simple parser on any lines", () => {
  const unit = fc.constantFrom("A", "b", "1", "-", "_", " ", "\t", "=", "ü", ".");
  fc.assert(
    fc.property(fc.array(fc.string({ unit, maxLength: 8 }), { maxLength: 5 }), (lines) => {
      const expected = new Map<string, string>();
      for (const line of lines) {
        const match = /^([A-Za-z0-9][A-Za-z0-9_-]*)(?:[ \t=](.*))?$/.exec(line);
        if (match === null) continue;
        const keyword = match[1]!.toUpperCase();
        if (!expected.has(keyword)) expected.set(keyword, (match[2] ?? "").trim());
      }
      const extensions = parse(...lines);
      assertEquals([...extensions.keywords()].map((keyword) => [keyword, extensions.get(keyword)]), [
        ...expected,
      ]);
    }),
    { numRuns: 2000 },
  );
});

test("Extensions.covers() compares keywords, not what follows them", () => {
  const first = parse("SIZE 1000", "REQUIRETLS");
  assertEquals(parse("REQUIRETLS", "DSN", "SIZE 2000").covers(first), true);
  assertEquals(parse("SIZE 1000").covers(first), false);
  assertEquals(Extensions.none.covers(Extensions.none), true);
});

test("Extensions.parse() does work in proportion to a list of AUTH, on one line or on thousands", () => {
  const pieces = Array.from({ length: 32_768 }, (_, i) => `M${i}`);
  const lists = {
    "on one line": [`AUTH ${pieces.join(" ")}`],
    "on thousands": pieces.map((name) => `AUTH ${name}`),
  };
  for (const [name, lines] of Object.entries(lists)) {
    const reply = new Reply(250, ["mx.example.org", ...lines]);
    let characters = 0;
    const { set } = Map.prototype;
    // What is built on the way, in characters: joined again for each line it is the square.
    Map.prototype.set = function (key: unknown, value: unknown) {
      if (typeof value === "string") characters += value.length;
      return set.call(this, key, value);
    };
    let extensions: Extensions;
    try {
      extensions = Extensions.parse(reply);
    } finally {
      Map.prototype.set = set;
    }
    assertEquals(extensions.auth.length, pieces.length, name);
    const received = lines.reduce((sum, line) => sum + line.length, 0);
    assert(characters <= 2 * received, `${name}: ${characters} characters for ${received}`);
  }
});
