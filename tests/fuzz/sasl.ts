/**
 * Fuzzes SASL: each mechanism of the client against servers that say anything, and the server's halves against clients that do.
 *
 * - SCRAM answers a server's first message if, and only if, it is one that a model takes, and with the proof that the model computes
 *   for it with `node:crypto`. It is satisfied if, and only if, the last message holds the signature over what it has itself seen.
 * - CRAM-MD5, PLAIN, LOGIN, EXTERNAL and the bearer tokens answer what a model answers, and nothing twice.
 * - A server that has refused, or has proved nothing, is not believed.
 * - No error shows a password, a token or a control character.
 * - The server's halves give a name and a password only where the response holds exactly these.
 *
 * WebCrypto takes turns of its own, which no choice here depends on: everything is waited for, one step after the other.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { decodeBase64, encodeBase64 } from "../../src/sasl/base64.ts";
import type { ChannelBinding } from "../../src/sasl/channel_binding.ts";
import { createMechanism } from "../../src/sasl/choose.ts";
import type { Credentials, SaslMechanism } from "../../src/sasl/mechanism.ts";
import { Scram } from "../../src/sasl/scram.ts";
import type { ScramHash } from "../../src/sasl/scram_keys.ts";
import { AUTH_MECHANISMS, AuthAttempt } from "../../src/server/auth.ts";
import { BYTES, mutate, noise } from "./mutate.ts";
import type { Random } from "./random.ts";
import { bytesOf, isFitToShow, must, mustEqual, type Notes, type Target, textOf, utf8 } from "./target.ts";

/** SASL. */
export const sasl: Target = {
  name: "sasl",
  async play(random, notes) {
    const what = random.weighted({ scram: 3, simple: 3, server: 3 });
    if (what === "scram") await playScram(random, notes);
    else if (what === "simple") await playSimple(random, notes);
    else playServer(random, notes);
  },
};

const PASSWORDS = [
  "open-sesame",
  "pass,word=",
  "p\u00e4ssw\u00f6rter",
  "a b c d",
  "\u{1f600}\u{1f600}",
  "x".repeat(200),
];
const USERS = ["ada", "ada@client.test", "a,b=c", "j\u00fcrgen"];
const SPOILT = ["\u202e", "a\0b", "a\r\nb", "\ud800", "\x7f"];

/** Takes a step of a mechanism; `undefined` if it refuses to. */
async function attempt<T>(secret: string, step: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    must(error instanceof Error, `It throws ${error}`);
    const { message } = error;
    must(isFitToShow(message), `Its error is not fit to be shown: ${JSON.stringify(message)}`);
    must(
      secret.length < 4 || !message.includes(secret),
      `Its error shows the secret: ${JSON.stringify(message)}`,
    );
    return undefined;
  }
}

/** Whether a mechanism lets a server's success count. */
async function isSatisfied(secret: string, mechanism: SaslMechanism): Promise<boolean> {
  return await attempt(secret, async () => {
    await mechanism.finish?.();
    return true;
  }) ?? false;
}

async function playScram(random: Random, notes: Notes): Promise<void> {
  const hash: ScramHash = random.pick(["SHA-1", "SHA-256", "SHA-512"]);
  const algorithm = hash.replace("-", "").toLowerCase();
  const [user, pass] = [random.pick(USERS), random.pick(PASSWORDS)];
  const authzid = random.pick(["", "", "b,c=d"]);
  const nonce = encodeBase64(bytesOf(noise(random, "abc\xff".split("")) + "n"));
  const plus = random.chance(0.3);
  const channelBinding: ChannelBinding | undefined = plus || random.chance(0.3)
    ? { type: "tls-server-end-point", data: bytesOf(noise(random, BYTES)) }
    : undefined;
  const mechanism = new Scram({ hash, credentials: { user, pass, authzid }, plus, channelBinding, nonce });
  const begin = await attempt(pass, mechanism.initialResponse);
  // Unicode 3.2, and so SASLprep, has no such character.
  if (begin === undefined) return must(pass.includes("\u{1f600}"), "SCRAM does not begin");
  const clientFirst = utf8ToText(begin);
  const name = (text: string) => text.replaceAll("=", "=3D").replaceAll(",", "=2C");
  const gs2 = `${plus ? "p=tls-server-end-point" : channelBinding ? "y" : "n"},${
    authzid && `a=${name(authzid)}`
  },`;
  mustEqual(clientFirst, `${gs2}n=${name(user)},r=${nonce}`, "SCRAM begins with");

  const honest = `r=${nonce}${encodeBase64(bytesOf("s" + noise(random, ["a", "\0"])))},s=${
    encodeBase64(bytesOf("salt" + noise(random, ["x"])))
  },i=4096`;
  let first = random.chance(0.5)
    ? honest
    : mutate(random, honest, BYTES, [honest, "e=other-error", "m=ext,", "v=AAAA", "i=4095", "i=5000001"]);
  // An honest count of a million is honest, and takes a second.
  if (Number(/,i=(\d+)/.exec(first)?.[1] ?? 0) > 20_000) first = honest;
  if (random.chance(0.03)) first = `r=${nonce},s=AAAA,i=4096`; // it has added nothing
  notes.log(JSON.stringify(first));
  const answer = await attempt(pass, () => mechanism.respond(bytesOf(first)));
  const refused = isUtf8(first) && first.startsWith("e=");
  if (refused) {
    mustEqual(answer?.length, 0, "To a refusal SCRAM answers with so many bytes");
    must(/^[ -~]*$/.test(mechanism.refusal!), "The refusal is not fit to be shown");
    return must(!await isSatisfied(pass, mechanism), "SCRAM believes a server that has refused");
  }
  const parts = readServerFirst(first, nonce);
  if (answer === undefined) {
    must(parts === undefined || !parts.canonical, "SCRAM does not answer a good first message");
    must(!await isSatisfied(pass, mechanism), "SCRAM believes a server that has proved nothing");
    return notes.count("scram: first refused");
  }
  must(parts !== undefined, "SCRAM answers what is no first message");

  const key = (password: string, salt: Buffer, iterations: number) =>
    pbkdf2Sync(password, salt, iterations, { "SHA-1": 20, "SHA-256": 32, "SHA-512": 64 }[hash], algorithm);
  const mac = (secret: Uint8Array, text: string | Uint8Array) =>
    createHmac(algorithm, secret).update(text).digest();
  const salted = key(pass, parts.salt, parts.iterations);
  const binding = Buffer.concat([Buffer.from(gs2), plus ? channelBinding!.data : new Uint8Array()]);
  const withoutProof = `c=${binding.toString("base64")},r=${parts.nonce}`;
  const messages = `${clientFirst.slice(gs2.length)},${
    Buffer.from(first, "latin1").toString()
  },${withoutProof}`;
  const clientKey = mac(salted, "Client Key");
  const proof = mac(createHash(algorithm).update(clientKey).digest(), messages).map((byte, i) =>
    byte ^ clientKey[i]!
  );
  mustEqual(
    utf8ToText(answer),
    `${withoutProof},p=${Buffer.from(proof).toString("base64")}`,
    "SCRAM answers",
  );

  // The server knows the password, or does not; it signs what the client has seen, or what it has said itself.
  const knows = random.chance(0.8);
  const own = knows ? salted : key("wrong", parts.salt, parts.iterations);
  const signed = random.chance(0.9) ? messages : messages.replace("i=", "i=1");
  const signature = mac(mac(own, "Server Key"), signed);
  const final = random.chance(0.5)
    ? `v=${signature.toString("base64")}`
    : mutate(random, `v=${signature.toString("base64")}`, BYTES, ["e=invalid-proof", "v=", ",x=y"]);
  if (random.chance(0.1)) {
    notes.count("scram: no last message");
    return must(!await isSatisfied(pass, mechanism), "SCRAM believes a server that has proved nothing");
  }
  notes.log(JSON.stringify(final));
  const last = await attempt(pass, () => mechanism.respond(bytesOf(final)));
  if (last !== undefined) mustEqual(last.length, 0, "To the last message SCRAM answers with so many bytes");
  const satisfied = await isSatisfied(pass, mechanism);
  notes.count(`scram: ${satisfied ? "satisfied" : "not satisfied"}`);
  const right = mac(mac(salted, "Server Key"), messages);
  const given = isUtf8(final) ? /^v=([A-Za-z0-9+/=]*)(?:,|$)/.exec(final)?.[1] : undefined;
  const decoded = Buffer.from(given ?? "", "base64");
  const isRight = decoded.length === right.length && timingSafeEqual(decoded, right);
  if (satisfied) must(isRight, "SCRAM believes a wrong signature");
  else must(!isRight || decoded.toString("base64") !== given, "SCRAM does not believe the right signature");
  must(
    await attempt(pass, () => mechanism.respond(bytesOf(final))) === undefined || last === undefined,
    "SCRAM answers a third message",
  );
}

/** A first message, with whether its salt is the only way to write it; `undefined` if it is none. */
function readServerFirst(text: string, clientNonce: string) {
  if (!isUtf8(text)) return undefined;
  const [, nonce, salt, count] = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=(\d+)(?:,[^]*)?$/.exec(text) ??
    [];
  if (nonce === undefined || !nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) {
    return undefined;
  }
  const iterations = Number(count);
  if (salt!.length % 4 !== 0 || iterations < 4_096 || iterations > 5_000_000) return undefined;
  const bytes = Buffer.from(salt!, "base64");
  return { nonce, salt: bytes, iterations, canonical: bytes.toString("base64") === salt };
}

function isUtf8(text: string): boolean {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.from(bytes.toString("utf8")).equals(bytes);
}

function utf8ToText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

async function playSimple(random: Random, notes: Notes): Promise<void> {
  const [user, pass] = [random.pick(USERS), random.pick(PASSWORDS)].map((text) =>
    random.chance(0.1) ? text + random.pick(SPOILT) : text
  ) as [string, string];
  const name = random.pick(["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "ANONYMOUS", "XOAUTH2", "OAUTHBEARER"]);
  const credentials: Credentials = name.includes("OAUTH") || name.endsWith("BEARER")
    ? { user, accessToken: random.pick(["ya29.token", "abc.def-ghi~", "two words", "a\x01b"]) }
    : name === "EXTERNAL"
    ? { external: random.pick([true, user]) }
    : name === "ANONYMOUS"
    ? { anonymous: user }
    : { user, pass };
  const secret = "accessToken" in credentials ? credentials.accessToken : pass;
  notes.log(`${name} ${JSON.stringify(credentials)}`);
  const context = { offered: [name], hostname: "mx.test", port: 587 };
  const mechanism = await attempt(secret, () => createMechanism(name, credentials, context));
  notes.count(`${name}${mechanism === undefined ? ": refused" : ""}`);
  const spoilt = /\p{Cc}/u.test(user + secret) || !user.isWellFormed();
  if (mechanism === undefined) return must(spoilt || secret.includes(" "), "Good credentials are refused");

  const initial = mechanism.initialResponse as Uint8Array | undefined;
  const token = "accessToken" in credentials ? `auth=Bearer ${credentials.accessToken}\x01\x01` : "";
  const expected: Record<string, string | undefined> = {
    PLAIN: `\0${user}\0${pass}`,
    EXTERNAL: "external" in credentials && credentials.external !== true ? user : "",
    ANONYMOUS: user,
    XOAUTH2: `user=${user}\x01${token}`,
    OAUTHBEARER: `n,a=${
      user.replaceAll("=", "=3D").replaceAll(",", "=2C")
    },\x01host=mx.test\x01port=587\x01${token}`,
  };
  const begins = expected[name];
  mustEqual(initial && textOf(initial), begins && utf8(begins), `${name} begins with`);

  const asked = random.pick([
    '{"status":"invalid_token","scope":"mail"}',
    '{"status":401}',
    "[]",
    "null",
    "",
    "Username:",
    "<1896.697@mx.test>",
  ]);
  const challenges = Array.from({ length: random.below(4) }, () => mutate(random, asked, BYTES, [asked]));
  const answers: (string | undefined)[] = [];
  for (const challenge of challenges) {
    notes.log(JSON.stringify(challenge));
    const answer = await attempt(secret, () => mechanism.respond(bytesOf(challenge)));
    answers.push(answer && textOf(answer));
    if (answer === undefined) break;
  }
  const digest = createHmac("md5", pass).update(bytesOf(challenges[0] ?? "")).digest("hex");
  const model: Record<string, readonly string[]> = {
    LOGIN: [utf8(user), utf8(pass)],
    "CRAM-MD5": [utf8(`${user} ${digest}`)],
    XOAUTH2: [""],
    OAUTHBEARER: ["\x01"],
  };
  const known = model[name] ?? [];
  mustEqual(
    answers,
    challenges.slice(0, known.length + 1).map((_, index) => known[index]),
    `${name} answers`,
  );
  const satisfied = await isSatisfied(secret, mechanism);
  const isBearer = "accessToken" in credentials;
  const hasRefused = isBearer && challenges.length > 0;
  if (hasRefused) {
    must(
      /^[ -~]{1,260}$/.test(mechanism.refusal ?? ""),
      `The refusal is ${JSON.stringify(mechanism.refusal)}`,
    );
    must(!satisfied, `${name} believes a server that has refused the token`);
  } else mustEqual(satisfied, name !== "CRAM-MD5" || challenges.length > 0, `${name} is satisfied`);
}

function playServer(random: Random, notes: Notes): void {
  const name = random.pick(AUTH_MECHANISMS);
  const attempt = new AuthAttempt(name);
  const given = {
    user: random.pick(USERS) + (random.chance(0.2) ? random.pick(SPOILT) : ""),
    pass: random.pick(PASSWORDS) + (random.chance(0.2) ? random.pick(SPOILT) : ""),
  };
  const said =
    (name === "PLAIN"
      ? [`${random.pick(["", "", given.user])}\0${given.user}\0${given.pass}`]
      : [given.user, given.pass])
      .map(utf8).map((text) => random.chance(0.3) ? mutate(random, text, BYTES, ["\0", "a\0b\0c"]) : text)
      .map((text) => encodeBase64(bytesOf(text)))
      .map((text) => random.chance(0.2) ? mutate(random, text, [..."=+/ AQ09\t\0", "=="], ["QUJD"]) : text);
  if (random.chance(0.1)) said.splice(random.below(said.length), 1, random.pick(["", "=", "*"]));
  notes.log(`${name} ${JSON.stringify(said)}`);
  const texts: (string | undefined)[] = said.map(readText);
  const isAsked = random.chance(0.5);
  let step = isAsked ? attempt.step(undefined) : undefined;
  let taken = 0;
  while ((step === undefined || step.kind === "challenge") && taken < said.length) {
    step = attempt.step(said[taken++]);
  }
  notes.count(`${name} server: ${step!.kind}`);
  const parts = name === "PLAIN"
    ? texts[0]?.split("\0")
    : texts.length === 2 && !texts.includes(undefined)
    ? ["", ...texts as string[]]
    : undefined;
  const [authzid, user, pass] = parts?.length === 3 ? parts : [];
  const isRight = user !== undefined && user !== "" && (authzid === "" || authzid === user);
  const isProper = said.every((text, index) => isCanonical(text, index === 0 && !isAsked)) &&
    isFitToShow(`${user}${pass}`);
  if (step!.kind === "credentials") {
    const { credentials } = step as { credentials: unknown };
    must(isRight && isProper, "The server lets in who has not said who they are");
    mustEqual(credentials, { mechanism: name, user, pass }, "The server reads");
  } else if (step!.kind === "refusal") {
    const { reply } = step as { reply: { code: number } };
    must(reply.code === 501 || reply.code === 535, `The server refuses with ${reply.code}`);
    must(!isRight || !isProper, "The server refuses a name and a password");
  } else must(name === "LOGIN" || said.length === 0, "The server asks PLAIN for more");
}

/** Whether a response is written as the server would write it. `=` stands for an empty one with AUTH, and for nothing later. */
function isCanonical(text: string, isInitial: boolean): boolean {
  return text === "=" ? isInitial : Buffer.from(text, "base64").toString("base64") === text;
}

/** A response as text; `undefined` if it is none. */
function readText(base64: string): string | undefined {
  if (base64 === "=" || base64 === "") return "";
  try {
    const bytes = textOf(decodeBase64(base64));
    return isUtf8(bytes) ? Buffer.from(bytes, "latin1").toString() : undefined;
  } catch {
    return undefined;
  }
}
