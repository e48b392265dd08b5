/**
 * Fuzzes the login of a client: servers that begin as honest ones, with any mechanism, and say anything at any point.
 *
 * - The client is logged in if, and only if, the server has said 235 and the mechanism is satisfied; one that was honest to the end
 *   has let it in.
 * - Each response is base64, or `*`, and no longer than a line may be; after `*` nothing more of the dialogue is said.
 * - The password, in none of its forms, is in no error, no trace and no reply that the client shows, even if the server repeats what
 *   it was sent.
 * - A session that counts as usable can go on.
 *
 * SCRAM takes turns of WebCrypto's own. Nothing here depends on how many: the server waits for each line.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { SmtpClient } from "../../src/client/client.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { formatTrace } from "../../src/trace.ts";
import { formsOf } from "../support/secret_forms.ts";
import { show } from "./caller.ts";
import { BYTES, mutate } from "./mutate.ts";
import type { Random } from "./random.ts";
import { bytesOf, isFitToShow, must, type Notes, type Target, textOf } from "./target.ts";

/** The login of a client. */
export const login: Target = { name: "login", play };

/** Longer than any case takes, in milliseconds. */
const PATIENCE = 30_000;

const MECHANISMS = [
  "SCRAM-SHA-256",
  "SCRAM-SHA-1",
  "PLAIN",
  "LOGIN",
  "CRAM-MD5",
  "XOAUTH2",
  "OAUTHBEARER",
  "SCRAM-SHA-512",
];

async function play(random: Random, notes: Notes): Promise<void> {
  const [socket, peer] = memorySocketPair();
  const isToken = random.chance(0.25);
  const password = random.pick(["open-sesame-1234", "p\u00e4ssw\u00f6rter-zq7X", "zq7 Xk2 9vW# <&>"]);
  const secret = isToken ? password.replaceAll(/[^!-~]/g, "-") : password;
  const offered = MECHANISMS.filter(() => random.chance(0.4));
  if (offered.length === 0) offered.push(random.pick(MECHANISMS));
  const server = new LoginServer(peer, random.fork(), offered, secret);
  const serving = server.run();
  const trace: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It does not end: ${server.lines.join(", ")}`)), PATIENCE);
  });
  const using = (async () => {
    const credentials = isToken ? { user: "ada", accessToken: secret } : { user: "ada", pass: secret };
    let failure: unknown;
    let client: SmtpClient | undefined;
    try {
      client = await SmtpClient.open({
        socket,
        hostname: "mx.test",
        security: "none",
        clientName: "client.test",
        trace: (event) => void trace.push(formatTrace(event), JSON.stringify(event)),
      });
      await client.ehlo();
      await client.authenticate({ ...credentials, initialResponse: random.chance(0.8) });
    } catch (error) {
      failure = error;
    }
    const wasHonest = server.isHonest;
    const mechanisms = [...server.mechanisms];
    const isSatisfied = server.isSatisfying;
    if (failure === undefined || failure instanceof SmtpError && failure.usable) {
      server.behave();
      await client?.noop().catch((error) =>
        must(false, `The session counts as usable, and is not: ${show(error)}`)
      );
    }
    await client?.close();
    return { failure, wasHonest, isSatisfied, mechanisms };
  })();
  const { failure, wasHonest, isSatisfied, mechanisms } = await Promise.race([using, patience]).finally(() =>
    clearTimeout(timer)
  );
  await serving;

  notes.log(`${mechanisms.join(", ")}: ${failure === undefined ? "logged in" : (failure as SmtpError).code}`);
  notes.count(failure === undefined ? "logged in" : (failure as SmtpError).code);
  for (const fault of server.faults) must(false, fault);
  if (failure === undefined) {
    must(isSatisfied, `It is logged in by a server that has proved nothing: ${mechanisms.join(", ")}`);
  } else {
    must(failure instanceof SmtpError, `It throws ${show(failure)}`);
    const known = mechanisms.length > 0 || failure.code === "auth-unsupported";
    must(
      !wasHonest || !known || failure.code === "auth-unsupported",
      `An honest server is not believed: ${show(failure)}`,
    );
    must(
      isFitToShow(failure.message.replaceAll("\n", " ")),
      `It is not fit to be shown: ${JSON.stringify(failure.message)}`,
    );
  }
  const shown = [...trace, ...describe(failure)].join("\n");
  for (const form of formsOf(secret)) {
    // Six characters of the secret, and what base64 makes of the bits at both ends.
    const length = /^[\dA-F]+$/i.test(form) ? 14 : form.includes("%") ? 24 : /^\d+,/.test(form) ? 60 : 8;
    for (let at = 0; at + length <= form.length; at++) {
      const part = form.slice(at, at + length);
      must(
        !shown.includes(part),
        `The password is shown, as ${JSON.stringify(part)}: ${shown.slice(0, 3_000)}`,
      );
    }
  }
}

/** All that an error shows. */
function describe(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 5) return [String(error)];
  const { reply, attempts } = error as SmtpError;
  return [
    error.message,
    String(error.stack),
    JSON.stringify(error),
    String(reply),
    JSON.stringify(attempts),
    ...describe(error.cause, depth + 1),
  ];
}

/** A server that lets in who knows the secret, until it does something else. */
class LoginServer {
  readonly #socket: Socket;
  readonly #random: Random;
  readonly #offered: readonly string[];
  readonly #secret: string;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #input = "";
  /** How likely it is to do something else. */
  #wildness: number;
  /** What it has seen that must not be. */
  readonly faults: string[] = [];
  /** What the client has said. */
  readonly lines: string[] = [];
  /** The mechanisms that the client has begun. */
  readonly mechanisms: string[] = [];
  /** Whether it has said nothing but what an honest server says. */
  isHonest = true;
  /** Whether it has said 235, and proved before what the mechanism wants to be proved. */
  isSatisfying = false;

  constructor(socket: Socket, random: Random, offered: readonly string[], secret: string) {
    this.#socket = socket;
    this.#random = random;
    this.#offered = offered;
    this.#secret = secret;
    this.#wildness = random.pick([0, 0.1, 0.3]);
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    for (const promise of [socket.closed, this.#reader.closed, this.#writer.closed]) promise.catch(() => {});
  }

  /** From here on it does what it is asked to. */
  behave(): void {
    this.#wildness = 0;
  }

  async run(): Promise<void> {
    try {
      await this.#say("220 mx.test");
      for (let line; (line = await this.#line()) !== undefined;) {
        const verb = line.split(" ", 1)[0]!;
        if (verb === "EHLO") await this.#say(`250-mx.test\r\n250 AUTH ${this.#offered.join(" ")}`);
        else if (verb === "AUTH") await this.#auth(line);
        else await this.#say(verb === "NOOP" ? "250 Ok" : "500 What?");
        if (verb !== "NOOP" && verb !== "EHLO" && verb !== "AUTH") {
          this.faults.push(`It says ${JSON.stringify(line)}`);
        }
      }
    } catch {
      // The client has gone, or this server has.
    }
    await this.#socket.close().catch(() => {});
  }

  async #line(): Promise<string | undefined> {
    while (!this.#input.includes("\r\n")) {
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#input += textOf(value);
    }
    const [line] = this.#input.split("\r\n", 1);
    this.#input = this.#input.slice(line!.length + 2);
    this.lines.push(line!);
    return line!;
  }

  async #say(text: string): Promise<void> {
    await this.#writer.write(bytesOf(`${text}\r\n`));
  }

  /** A dialogue. */
  async #auth(line: string): Promise<void> {
    const [, name = "", initial] = line.split(" ");
    this.mechanisms.push(name);
    this.isSatisfying = false;
    if (!this.#offered.includes(name)) this.faults.push(`${name} was not offered`);
    const partner = partnerOf(name, this.#secret);
    let said = initial === "=" ? "" : initial;
    for (let step = 0;; step++) {
      if (said !== undefined) this.#check(said);
      const answer = partner(said === undefined ? undefined : Buffer.from(said, "base64").toString());
      let reply = answer === true
        ? "235 2.7.0 Welcome"
        : answer === false
        ? "535 5.7.8 No"
        : `334 ${Buffer.from(answer).toString("base64")}`;
      if (this.#random.chance(this.#wildness)) {
        const wild = this.#wild(reply, said ?? line);
        if (wild !== reply) this.isHonest = false;
        reply = wild;
      }
      if (answer === false) this.isHonest = false; // it was told something else before
      if (reply === "cut") throw new Error("cut");
      this.isSatisfying = /^2/.test(reply) &&
        (answer === true || needsNoMore(name, initial === undefined ? step : step + 1));
      await this.#say(reply);
      if (!/^334/.test(reply)) return;
      const next = await this.#line();
      if (next === undefined) throw new Error("The client has gone");
      if (next === "*") return await this.#say("501 5.7.0 Cancelled");
      said = next;
    }
  }

  #check(response: string): void {
    if (Buffer.from(response, "base64").toString("base64") !== response) {
      this.faults.push(`${response} is no base64`);
    }
    if (response.length > 12_286) this.faults.push("A response is too long");
  }

  #wild(reply: string, said: string): string {
    const random = this.#random;
    switch (random.weighted({ mutate: 4, code: 4, echo: 3, early: 2, again: 1, cut: 1 })) {
      case "mutate": {
        const changed = mutate(random, reply.slice(4), BYTES.filter((text) => !/[\r\n]/.test(text)), [
          "r=,s=,i=4096",
          "e=other-error",
        ]);
        // An honest count of a million is honest, and takes a second.
        const count = Number(/,i=(\d+)/.exec(Buffer.from(changed, "base64").toString())?.[1] ?? 0);
        return count > 20_000 ? reply : reply.slice(0, 4) + changed;
      }
      case "code":
        return `${random.pick([235, 250, 334, 354, 421, 432, 454, 500, 501, 504, 534, 535, 538, 550])} ${
          random.pick(["5.7.8", "4.7.0", "2.7.0"])
        } Whatever`;
      case "echo":
        return this.#echo(said);
      case "early":
        return "235 2.7.0 Welcome";
      case "again":
        return `334 ${Buffer.from(random.pick(["", "Password:", '{"status":"401"}'])).toString("base64")}`;
      case "cut":
        return "cut";
    }
  }

  /** What it was sent, or what it knows, in any form, whole or in part. */
  #echo(said: string): string {
    const random = this.#random;
    const code = random.pick(["500", "535", "501", "454", "334"]);
    const before = random.pick(["", "Unknown: ", "5.5.2 ", "5.7.8 <"]);
    const whole = random.pick([
      said,
      said.replace(/=+$/, ""),
      Buffer.from(said, "base64").toString(),
      this.#secret,
      ...formsOf(this.#secret).filter((form) => !/^\d+,/.test(form)), // nobody writes bytes as numbers
      this.#secret.replaceAll(/[^A-Za-z0-9]/gu, (character) => `&#${character.codePointAt(0)};`),
      encodeURIComponent(said),
    ]).replaceAll(/\p{Cc}/gu, " ");
    const from = random.chance(0.5) ? 0 : random.below(4);
    const part = whole.slice(from, random.chance(0.5) ? undefined : whole.length - random.below(4));
    const at = random.below(part.length + 1);
    const lines = random.chance(0.3) ? [part.slice(0, at), part.slice(at)] : [part];
    return lines.map((text, index) =>
      `${code}${index < lines.length - 1 ? "-" : " "}${before}${textOf(new TextEncoder().encode(text))}`
    ).join("\r\n");
  }
}

/**
 * Whether a mechanism believes a 235, whatever the client has said: those that carry the secret itself prove nothing, nor does
 * CRAM-MD5 once a challenge was answered; a token is not believed to be accepted once it was refused.
 *
 * @param name The mechanism.
 * @param responses How many responses the client has sent, with an empty one where it waited for its turn.
 */
function needsNoMore(name: string, responses: number): boolean {
  if (name === "PLAIN" || name === "LOGIN") return true;
  return name === "CRAM-MD5" ? responses > 0 : name.startsWith("SCRAM-") ? false : responses <= 1;
}

/** The server's side of a mechanism: takes a response, gives a challenge, or whether the client gets in. */
function partnerOf(name: string, secret: string): (response: string | undefined) => string | boolean {
  if (name.startsWith("SCRAM-")) {
    return scramPartner(name.slice("SCRAM-".length).replace("-", "").toLowerCase(), secret);
  }
  const right: Record<string, readonly string[]> = {
    PLAIN: [`\0ada\0${secret}`],
    LOGIN: ["ada", secret],
    "CRAM-MD5": [`ada ${createHmac("md5", secret).update("<1896.697@mx.test>").digest("hex")}`],
    XOAUTH2: [`user=ada\x01auth=Bearer ${secret}\x01\x01`],
    OAUTHBEARER: [`n,a=ada,\x01host=mx.test\x01auth=Bearer ${secret}\x01\x01`],
  };
  const asks: Record<string, readonly string[]> = {
    LOGIN: ["Username:", "Password:"],
    "CRAM-MD5": ["<1896.697@mx.test>"],
  };
  const left = [...right[name]!];
  const asked = [...asks[name] ?? [""]];
  return (response) => {
    if (response === undefined) return asked.shift() ?? "";
    if (response !== left.shift()) return false;
    return left.length === 0 ? true : asked.splice(0, asked.length).at(-1)!;
  };
}

function scramPartner(hash: string, secret: string): (response: string | undefined) => string | boolean {
  const length = { sha1: 20, sha256: 32, sha512: 64 }[hash]!;
  const mac = (key: Uint8Array, text: string) => createHmac(hash, key).update(text).digest();
  let clientFirst = "";
  let serverFirst = "";
  let isProved = false;
  return (response) => {
    if (response === undefined) return "";
    if (isProved) return response === "";
    if (clientFirst === "") {
      clientFirst = response.split(",").slice(2).join(",");
      return serverFirst = `r=${/r=(.*)$/.exec(response)?.[1]}server,s=${
        Buffer.from("salt").toString("base64")
      },i=4096`;
    }
    const salted = pbkdf2Sync(secret, "salt", 4_096, length, hash);
    const withoutProof = response.replace(/,p=[^,]*$/, "");
    const messages = `${clientFirst},${serverFirst},${withoutProof}`;
    const clientKey = mac(salted, "Client Key");
    const proof = mac(createHash(hash).update(clientKey).digest(), messages).map((byte, i) =>
      byte ^ clientKey[i]!
    );
    if (response !== `${withoutProof},p=${Buffer.from(proof).toString("base64")}`) return false;
    isProved = true;
    return `v=${mac(mac(salted, "Server Key"), messages).toString("base64")}`;
  };
}
