/**
 * Fuzzes the lowest level, `SmtpChannel`: a server that says anything, in pieces of any size, and leaves in any way.
 *
 * - The replies are those that {@linkcode ReplyDecoder} finds in all that was said; after them comes the end, or a `ProtocolError`.
 * - Commands arrive as they were given, in order; one that is no line is refused, and nothing of it arrives.
 * - Nothing is read before a reply is asked for.
 * - TLS begins only if nothing followed the reply before.
 * - Everything settles once the connection is over.
 * @module
 */
import { SmtpChannel } from "../../src/client/channel.ts";
import { ProtocolError } from "../../src/core/errors.ts";
import { ReplyDecoder } from "../../src/core/reply_decoder.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { SocketError } from "../../src/sockets/socket.ts";
import { Clock } from "./clock.ts";
import { COMMANDS, REPLIES } from "./corpus.ts";
import { BYTES, CHARACTERS, mutate } from "./mutate.ts";
import type { Random } from "./random.ts";
import { bytesOf, cut, must, mustEqual, type Notes, type Target, textOf } from "./target.ts";

/** The channel. */
export const channel: Target = {
  name: "channel",
  async play(random, notes) {
    const clock = new Clock();
    clock.install();
    try {
      await playChannel(random, notes, clock);
    } finally {
      clock.uninstall();
    }
  },
};

async function playChannel(random: Random, notes: Notes, clock: Clock): Promise<void> {
  const highWaterMark = random.pick([50, 65_536]);
  const [socket, peer] = memorySocketPair({ highWaterMark, secureTransport: "starttls" });
  const opened = await SmtpChannel.open({ socket, hostname: "mx.test" });
  opened.closed.catch(() => {});
  peer.closed.catch(() => {});

  // What the server hears.
  let heard = "";
  const hearing = (async () => {
    for await (const chunk of peer.readable) heard += textOf(chunk);
  })().catch(() => {});

  // What the server says, and how it leaves.
  const said = Array.from(
    { length: random.below(5) },
    () => mutate(random, `${random.pick(REPLIES)}\r\n`, BYTES, REPLIES),
  ).join("");
  const leaves = random.pick(["ends", "ends", "cuts"]);
  notes.log(`S: ${JSON.stringify(said)} (${leaves})`);
  const writer = peer.writable.getWriter();
  writer.closed.catch(() => {});
  const pieces = cut(said, random).map(bytesOf);
  let taken = 0;
  const saying = (async () => {
    for (const piece of pieces) {
      await writer.write(piece);
      taken += piece.length;
    }
    if (leaves === "ends") await writer.close();
  })().catch(() => {});
  await pass(clock, 5);
  const most = Math.max(...pieces.map(({ length }) => length), 0);
  must(taken <= highWaterMark + most + 65_536, "What nobody has asked for is read");

  // What the client says.
  let expected = "";
  for (let count = random.below(4); count > 0; count--) {
    const line = mutate(random, random.pick(COMMANDS), CHARACTERS, COMMANDS);
    const isLine = /^[ -~]*$/.test(line) && line.length <= 12_286;
    notes.log(`C: ${JSON.stringify(line)}`);
    const error = await opened.command(line).then(() => undefined, (error: unknown) => error);
    if (isLine) expected += `${line}\r\n`;
    if (!isLine) {
      must(error instanceof TypeError || error instanceof RangeError, `${JSON.stringify(line)} is sent`);
    } else must(error === undefined || error instanceof SocketError, `command() throws ${error}`);
  }

  // What the client hears.
  const decoder = new ReplyDecoder();
  decoder.push(bytesOf(said));
  const replies: string[] = [];
  let failed = false;
  try {
    for (let reply; (reply = decoder.next()) !== undefined;) replies.push(reply.toString());
    if (leaves === "ends") decoder.end();
  } catch {
    failed = true;
  }
  const wanted = leaves === "ends" ? replies.length + 1 : random.below(replies.length + 1);
  const found: string[] = [];
  let end: unknown;
  for (let read = 0; read < wanted && end === undefined; read++) {
    try {
      const { value, done } = await opened.replies.next();
      if (done) end = "end";
      else found.push(value.toString());
    } catch (error) {
      end = error;
    }
  }
  notes.count("replies", found.length);
  mustEqual(found, replies.slice(0, wanted), "It hears");
  if (leaves === "ends") {
    must(
      failed ? end instanceof ProtocolError : end === "end",
      `After the replies comes ${end}, not ${failed ? "a failure" : "the end"}`,
    );
    notes.count(failed ? "failed" : "ended");
  } else if (random.chance(0.5) && wanted === replies.length && !failed) {
    await pass(clock, 5);
    // With a read under way TLS cannot begin; the peer does not begin it either way.
    const left = said !== "" && decoder.bufferedLength > 0;
    const tls = opened.startTls().then(() => "secured", (error: unknown) => error);
    await pass(clock, 3);
    await peer.close(new Error("cut"));
    const error = await tls;
    must(error instanceof Error, "TLS has begun although the peer has not");
    if (error instanceof SmtpError) {
      must(error.code === "starttls-injection" || !left, `TLS fails with ${error.code}`);
    }
    notes.count("no TLS");
  }

  // The end.
  if (random.chance(0.5)) await opened.close();
  else await peer.close(new Error("cut"));
  const after = opened.replies.next().then(() => {}, () => {});
  await opened.close();
  await peer.close().catch(() => {});
  await settled(clock, [after, saying, hearing], "Something does not settle");
  must(expected.startsWith(heard) || heard.startsWith(expected), `The server hears ${JSON.stringify(heard)}`);
  must(heard.length <= expected.length, "The server hears more than was said");
}

async function pass(clock: Clock, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await clock.pass();
}

async function settled(clock: Clock, promises: readonly Promise<unknown>[], what: string): Promise<void> {
  let done = false;
  void Promise.allSettled(promises).then(() => done = true);
  for (let turn = 0; turn < 200 && !done; turn++) {
    await clock.pass();
    if (!done && turn > 5) clock.advance();
  }
  must(done, what);
}
