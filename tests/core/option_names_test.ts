import { assertEquals, assertThrows } from "@std/assert";
import { mustExist } from "../../src/core/option_names.ts";
import type { OptionHints, OptionNames } from "../../src/core/option_names.ts";
import { test } from "../support/harness.ts";

interface Options {
  hostname?: string;
  port?: number;
  caCerts?: string;
}

const NAMES: OptionNames<Options> = { hostname: true, port: true, caCerts: true };
const HINTS: OptionHints = { host: "use hostname", secure: 'use security: "tls"' };

function messageFor(options: unknown, within?: string, hints = HINTS): string {
  const more = within === undefined ? { hints } : { hints, within };
  return assertThrows(() => mustExist("connect", options, NAMES, more), TypeError).message;
}

test("mustExist() lets options pass that exist, and those that are undefined", () => {
  mustExist("connect", {}, NAMES);
  mustExist("connect", { hostname: "mx.test", port: 25, caCerts: undefined, host: undefined }, NAMES);
  mustExist("connect", Object.assign(Object.create({ inherited: true }), { port: 25 }), NAMES);
  mustExist("connect", Object.assign(Object.create(null), { port: 25 }), NAMES);
});

test("mustExist() says what to do instead of an option of another library", () => {
  assertEquals(messageFor({ host: "mx.test" }), 'Cannot connect: there is no option "host", use hostname');
  assertEquals(
    messageFor({ host: "mx.test", port: 25, secure: false }),
    'Cannot connect: there is no option "host", use hostname; ' +
      'there is no option "secure", use security: "tls"',
  );
});

test("mustExist() says what may have been meant", () => {
  for (
    const [name, meant] of [
      ["hostName", "hostname"],
      ["HOSTNAME", "hostname"],
      ["hostnam", "hostname"],
      ["hsotname", "hostname"],
      ["prot", "port"],
      ["ports", "port"],
      ["caCert", "caCerts"],
      ["caCertss", "caCerts"],
    ] as const
  ) {
    assertEquals(
      messageFor({ [name]: "x" }),
      `Cannot connect: there is no option "${name}", did you mean ${meant}?`,
    );
  }
  assertEquals(
    messageFor({ prot: 25 }, "tls"),
    'Cannot connect: there is no option "tls.prot", did you mean tls.port?',
  );
});

test("mustExist() lists the options that there are when nothing is like the name", () => {
  for (const name of ["x", "colour", "__proto__", "constructor", "toString", "a".repeat(100_000)]) {
    const shown = name.length > 80 ? `"${name.slice(0, 80)}…"` : `"${name}"`;
    assertEquals(
      messageFor(JSON.parse(`{ ${JSON.stringify(name)}: 1 }`)),
      `Cannot connect: there is no option ${shown}, only hostname, port, caCerts`,
    );
  }
  assertEquals(
    messageFor({ colour: 1 }, undefined, { "": "see the documentation" }),
    'Cannot connect: there is no option "colour", see the documentation',
  );
});

test("mustExist() refuses what is not an object, and shows no text, which may be a URL with a password", () => {
  for (
    const [value, shown] of [
      ["smtps://tim:secret@mx.test", "a string"],
      [true, "true"],
      [null, "null"],
      [25, "25"],
      [["mx.test"], "an array"],
      [() => {}, "a function"],
    ] as const
  ) {
    assertEquals(
      messageFor(value),
      `Cannot connect: options must be an object, the current value is ${shown}`,
    );
    assertEquals(
      messageFor(value, "tls"),
      `Cannot connect: tls must be an object, the current value is ${shown}`,
    );
  }
});

test("mustExist() shows the names of options and never a value", () => {
  const message = messageFor({ "pass\r\n\x1b[2J": "correct horse", password: "correct horse" });
  assertEquals(message.includes("correct horse"), false);
  // deno-lint-ignore no-control-regex
  assertEquals(/[\x00-\x1f]/.test(message), false);
});
