/**
 * Fuzzes the way of a message from the client to a server, under DATA and BDAT.
 *
 * - A message that was sent has arrived once, and is what was given, with CRLF line ends; one that was refused has not arrived.
 * - None of it was read as a command.
 * - What was refused could not be sent: it holds a NUL, or a line that is too long.
 *
 * The server is the one of `tests/support`, which shares no code with the client.
 * @module
 */
import { forgetBroken } from "../../src/client/broken_extensions.ts";
import { SmtpClient } from "../../src/client/client.ts";
import type { Message } from "../../src/client/content.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { ModelServer } from "../support/model_server.ts";
import { show } from "./caller.ts";
import { CONTENTS } from "./corpus.ts";
import { BYTES, mutate, noise } from "./mutate.ts";
import type { Random } from "./random.ts";
import { bytesOf, cut, must, mustEqual, type Notes, type Target, textOf } from "./target.ts";

/** Messages. */
export const contents: Target = { name: "contents", play };

/** Longer than any case takes, in milliseconds. */
const PATIENCE = 30_000;

/** As the server reads it. */
const latin1 = new TextDecoder("latin1");

async function play(random: Random, notes: Notes): Promise<void> {
  forgetBroken();
  const [socket, peer] = memorySocketPair({ highWaterMark: random.pick([100, 65_536]) });
  const server = new ModelServer(peer, {
    pipelining: random.chance(0.7),
    chunking: random.chance(0.6),
    family: random.pick(["postfix", "dovecot", "strict", "exim"]),
    batch: random.chance(0.5),
    pieces: random.pick([1, 10, 1_000]),
  });
  const lineLength = random.pick(["error", "allow"] as const);
  const transfer = random.pick(["auto", "auto", "data"] as const);
  const maxInFlight = random.pick([1, 2, 64]);
  const sent = Array.from({ length: 1 + random.below(4) }, (_, index) => {
    const text = `Subject: ${index}\r\n\r\n${bodyOf(random)}`;
    notes.log(JSON.stringify(text.length > 1_000 ? `${text.slice(0, 1_000)}...` : text));
    return { from: `m${index}@client.test`, bytes: text, message: messageOf(random, text) };
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("It does not end")), PATIENCE);
  });
  const all = (async () => {
    const client = await SmtpClient.connect({
      socket,
      hostname: "mx.test",
      security: "none",
      clientName: "client.test",
      transfer,
      maxInFlight,
    });
    const sending = sent.map(({ from, message }) =>
      client.send({ from, to: "you@mx.test" }, message, { lineLength })
    );
    const results = await Promise.allSettled(sending);
    await client.quit();
    await server.done;
    return results;
  })();
  const results = await Promise.race([all, patience]).finally(() => clearTimeout(timer));

  mustEqual(server.violations, [], "The server finds");
  for (const [index, { from, bytes }] of sent.entries()) {
    const result = results[index]!;
    const arrived = server.delivered.filter((mail) => mail.from === from);
    if (result.status === "fulfilled") {
      mustEqual(arrived.length, 1, `${from} has arrived so many times`);
      const expected = bytes.replaceAll(/\r\n|\r|\n/g, "\r\n").replace(/[^\n]$/, "$&\r\n");
      must(
        arrived[0]!.content === latin1.decode(bytesOf(expected)),
        `${from} has changed on its way: ${JSON.stringify(arrived[0]!.content.slice(0, 1_000))}`,
      );
      notes.count("arrived");
      continue;
    }
    mustEqual(arrived.length, 0, `${from} was refused, and has arrived so many times`);
    const { reason } = result;
    must(reason instanceof SmtpError, `send() throws ${show(reason)}`);
    const isLong = lineLength === "error" && /[^\r\n]{999}/.test(bytes);
    // Whatever fails while a content leaves under DATA ends the session, and the others with it.
    const isFollower = reason.code !== "invalid-message" && reason.outcome === "not-sent";
    must(
      bytes.includes("\0") || isLong || isFollower,
      `A message is refused that could be sent: ${show(reason)}`,
    );
    notes.count(isFollower ? "not sent after another" : "refused");
  }
}

function bodyOf(random: Random): string {
  if (random.chance(0.2)) return noise(random, ["\r", "\n", ".", "\r\n", "a", "\r\n.\r\n"]);
  const body = mutate(random, random.pick(CONTENTS), BYTES, CONTENTS);
  return random.chance(0.03) ? "A line of text.\r\n".repeat(9_000) + body : body;
}

/** A content in one of the forms that `send()` takes. Text goes as text only where its bytes are UTF-8. */
function messageOf(random: Random, bytes: string): Message {
  // Hundreds of thousands of pieces would be the same test many times.
  const pieces = (bytes.length > 10_000 ? [bytes.slice(0, 5_000), bytes.slice(5_000)] : cut(bytes, random))
    .map(bytesOf);
  const form = random.weighted({ text: 2, bytes: 2, blob: 1, stream: 2, iterable: 1 });
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(bytes));
  switch (form) {
    case "text":
      return textOf(new TextEncoder().encode(text)) === bytes ? text : bytesOf(bytes);
    case "bytes":
      return bytesOf(bytes);
    case "blob":
      return new Blob(pieces);
    case "stream":
      return ReadableStream.from(pieces);
    case "iterable":
      return (async function* () {
        yield* pieces;
      })();
  }
}
