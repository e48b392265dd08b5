import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { MASK, Secrets } from "../../src/core/secrets.ts";
import { test } from "../support/harness.ts";

function masking(...secrets: (string | Uint8Array)[]): Secrets {
  const all = new Secrets();
  for (const secret of secrets) all.add(secret);
  return all;
}

for (
  const [what, text] of [
    [
      "the words of Gmail",
      "Username and password not accepted. https://support.google.com/mail/?p=BadCredentials",
    ],
    ["the name of the user", "Authentication failed for tim@example.com"],
    ["five characters of the secret", "What is hunte, unter or ter2!?"],
    ["a queue id", "Ok: queued as 4XyZ1234567890"],
    ["escapes that are none", "100% of &amp &#; \\ =3 %zz &nothing; and \\"],
    ["nothing", ""],
  ] as const
) {
  test(`Secrets.mask() leaves ${what}`, () => {
    assertEquals(masking("hunter2!").mask(text), text);
  });
}

test("Secrets.maskLines() gives the same lines where there is nothing to mask", () => {
  const lines = ["5.7.8 Wrong", "5.7.8 "];
  assertStrictEquals(masking("hunter2!").maskLines(lines), lines);
});

for (
  const [secret, text, masked] of [
    ["hunter2!", "Not hunter2!", "Not ********"],
    ["hunter2!", "Not 'xxhunterxx', and not unter2", "Not ******** and not ********"],
    ["hunter2!", "Not  HUNTER2!\thunter2! again", "Not  ******** again"],
    ["two words", "Not two  words, but twowords", "Not ******** but ********"],
    ["two words", "Not two\ufffdwords", "Not ********"],
    ["pa ss wo", "As a form: pa+ss+wo", "As a form: ********"],
    [
      "p\u00e4ssw\u00f6rd",
      "p\u00e4ssw\u00f6rd p%C3%A4ssw%c3%b6rd p\u00c3\u00a4ssw\u00c3\u00b6rd P\u00c4SSW\u00d6RD",
      MASK,
    ],
    [
      "\u043f\u0430\u0440\u043e\u043b\u044c!",
      "\u041f\u0410\u0420\u041e\u041b\u042c! \\u043f\\u0430\\u0440\\u043e\\u043b\\u044c!",
      MASK,
    ],
    ["p\u00e4ssw\u00f6rd1", "p\ufffdssw\ufffdrd1 p?ssw?rd1 and pa\u0308sswo\u0308rd1", `${MASK} and ${MASK}`],
    ["\uff50assword", "password", MASK],
    ["hunter2!", "&#104;&#x75;nter2!", MASK],
    // Short secrets: whole, in base64 too; the shortest only as words.
    ["hunt2", "hunt2 xhunt2x hunt", "******** hunt"],
    ["1234", "Not 1234 nor MTIzNA==, but 123", "Not ******** nor ******** but 123"],
    ["abc", "abc, (abc) abcd labc YWJj ab c0", "******** abcd labc ******** ab c0"],
    ["a", "a cat, a=b", "******** cat, ********"],
    ["", "Nothing", "Nothing"],
  ] as const
) {
  test(`Secrets.mask() makes of ${JSON.stringify(text)} without ${JSON.stringify(secret)} what is safe`, () => {
    assertEquals(masking(secret).mask(text), masked);
  });
}

test("Secrets.maskLines() masks what goes on in the next line, and leaves enhanced status codes", () => {
  assertEquals(
    masking("hunter2!").maskLines(["5.7.8 What is hun", "5.7.8 ter", "", "5.7.8 2! here"]),
    ["5.7.8 What is ********", "5.7.8 ********", "", "5.7.8 ******** here"],
  );
  assertEquals(masking("5.7.812").maskLines(["5.7.8 5.7.812"]), ["5.7.8 ********"]);
});

test("Secrets.mask() leaves numbers of HTML that are no character", () => {
  const text = "&#1114112;&#x110000;";
  assertEquals(masking("hunter2!").mask(`${text} hunter2!`), `${text} ${MASK}`);
});

test("Secrets.mask() masks bytes that are no text", () => {
  const bytes = Uint8Array.from({ length: 24 }, (_, i) => 0xff - 9 * i);
  const base64 = btoa(`?${String.fromCharCode(...bytes)}`);
  assertEquals(masking(bytes).mask(`What is ${base64}?`), `What is ${MASK}`);
});

test("Secrets.addForm() masks a text in this form only", () => {
  const secrets = new Secrets();
  secrets.addForm("AGh1bnRlcjIh");
  assertEquals(secrets.mask("agh1bnr\nAGh1bn "), `${MASK}\n${MASK} `);
  assertEquals(secrets.mask(btoa("AGh1bnRlcjIh")), btoa("AGh1bnRlcjIh"));
});

test("Secrets.mask() masks what was added after it was used", () => {
  const secrets = masking("hunter2!");
  assertEquals(secrets.mask("hunter2! swordfish"), "******** swordfish");
  secrets.add("swordfish");
  assertEquals(secrets.mask("hunter2! swordfish"), MASK);
});

test("Secrets.mask() leaves no six characters of a secret, wherever it is and however it is cut", () => {
  const word = fc.stringMatching(/^[!-~]{6,40}$/);
  fc.assert(
    fc.property(word, fc.string(), fc.string(), fc.nat(40), fc.nat(40), (secret, before, after, from, to) => {
      const part = secret.slice(Math.min(from, to), Math.max(from, to));
      const shown = masking(secret).mask(before + part + after);
      for (let i = 0; i + 6 <= part.length; i++) {
        const piece = part.slice(i, i + 6);
        assert(piece === MASK.slice(0, 6) || !shown.includes(piece), `${piece} is in ${shown}`);
      }
    }),
  );
});

test("Secrets.mask() looks at each piece of a reply of 512 KB a fixed number of times, whatever it holds", () => {
  const secrets = masking("hunter2!hunter2!", "ab", "ab1", "x".repeat(2_000));
  const { has } = Set.prototype;
  const lookUps = (text: string): number => {
    let count = 0;
    Set.prototype.has = function (this: Set<unknown>, value: unknown) {
      count++;
      return has.call(this, value);
    };
    try {
      secrets.mask(text);
    } finally {
      Set.prototype.has = has;
    }
    return count / text.length;
  };
  for (const text of ["hunter2!", "x", "x ", "%78", "&#120;", "\\", "a", " ", "&#1111111", "%25"]) {
    // Four times at most, as escapes may be escaped, for each length that parts of secrets have.
    assert(lookUps(text.repeat(512 * 1024 / text.length)) <= 4 * 12, text);
  }
});
