/**
 * Conversations one can read, held with the server over sockets in memory.
 *
 * `C: ` is what the client says, `S: ` what it hears; consecutive lines of the client's are one group, which leaves
 * in one write, line by line or byte by byte. `(tls)` goes over to TLS, `(end)` is the end of what the server sends,
 * `(cut)` cuts the connection. `\r`, `\n` and `\0` in a client's line are those characters.
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Socket } from "../../src/sockets/mod.ts";
import { memorySocketPair } from "../../src/sockets/mod.ts";
import { type ServerHandlers, serveSocket, type ServeSocketOptions } from "../../src/server/mod.ts";

/** How the client's groups are cut. */
export type Cut = "whole" | "lines" | "bytes";

/** How a conversation is held. */
export interface TranscriptOptions {
  /** The server's options, besides the name `mx.test`. */
  options?: ServeSocketOptions;
  /** The server's handlers; a function makes new ones for each run. */
  handlers?: ServerHandlers | (() => ServerHandlers);
  /** Default: all of them, one after the other. */
  cuts?: readonly Cut[];
  /** Default: `"off"`. */
  secureTransport?: "off" | "starttls";
}

/** Holds the conversation and fails where the server says something else. */
export async function assertTranscript(transcript: string, how: TranscriptOptions = {}): Promise<void> {
  for (const cut of how.cuts ?? ["whole", "lines", "bytes"] as const) {
    const handlers = typeof how.handlers === "function" ? how.handlers() : how.handlers ?? {};
    const [client, server] = memorySocketPair({ secureTransport: how.secureTransport ?? "off" });
    const errors: unknown[] = [];
    const served = serveSocket(server, {
      serverName: "mx.test",
      onError: (error) => errors.push(error),
      ...how.options,
    }, handlers);
    const peer = new Peer(client);
    try {
      await hold(peer, parse(transcript), cut);
    } finally {
      await peer.close();
      await served;
    }
    assertEquals(errors, []);
  }
}

type Step = { kind: "say" | "hear"; text: string } | { kind: "tls" | "end" | "cut" };

function parse(transcript: string): Step[] {
  const steps: Step[] = [];
  for (const line of transcript.split("\n").map((line) => line.trimStart()).filter((line) => line !== "")) {
    if (line.startsWith("C:") || line.startsWith("S:")) {
      const kind = line.startsWith("C:") ? "say" : "hear";
      const text = unescape(line.slice(3)) + "\r\n";
      const last = steps.at(-1);
      if (last?.kind === kind) last.text += text;
      else steps.push({ kind, text });
    } else if (line === "(tls)" || line === "(end)" || line === "(cut)") {
      steps.push({ kind: line.slice(1, -1) as "tls" | "end" | "cut" });
    } else {
      throw new SyntaxError(`Not a line of a transcript: ${line}`);
    }
  }
  return steps;
}

function unescape(text: string): string {
  return text.replaceAll("\\r", "\r").replaceAll("\\n", "\n").replaceAll("\\0", "\0");
}

async function hold(peer: Peer, steps: Step[], cut: Cut): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case "say":
        for (const piece of split(step.text, cut)) await peer.say(piece);
        break;
      case "hear": {
        const heard = await peer.hear(new TextEncoder().encode(step.text).length);
        assertEquals(heard.text.split("\r\n"), step.text.split("\r\n"), `cut: ${cut}`);
        // Replies to a group that came in one piece leave in one piece.
        if (cut === "whole") assertEquals(heard.writes, 1, `writes for ${JSON.stringify(step.text)}`);
        break;
      }
      case "tls":
        await peer.startTls();
        break;
      case "end":
        assertEquals((await peer.hear(1)).text, "");
        break;
      case "cut":
        await peer.cut();
        break;
    }
  }
}

/** The pieces in which a text leaves. */
export function split(text: string, cut: Cut): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  if (cut === "whole") return [bytes];
  if (cut === "bytes") return Array.from(bytes, (byte) => Uint8Array.of(byte));
  return text.split(/(?<=\r\n)/).map((line) => new TextEncoder().encode(line));
}

/** A raw client, which sends what a test gives it and returns what arrives. */
export class Peer {
  #socket: Socket;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #heard = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
  }

  /** Writes; that the server has gone is seen by who listens. */
  async say(text: string | Uint8Array): Promise<void> {
    try {
      await this.#writer.write(typeof text === "string" ? new TextEncoder().encode(text) : text);
    } catch {
      // The replies tell.
    }
  }

  /** Reads until there is as much as expected, or the end. */
  async hear(length: number): Promise<{ text: string; writes: number }> {
    let writes = 0;
    while (this.#heard.length < length) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      writes++;
      this.#heard += Array.from(value, (byte) => String.fromCharCode(byte)).join("");
    }
    const text = this.#heard;
    this.#heard = "";
    return { text: new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0))), writes };
  }

  /** Reads one reply, of one line or more. */
  async reply(): Promise<string> {
    for (;;) {
      const end = this.#heard.search(/^\d{3}( .*)?\r\n/m);
      if (end >= 0) {
        const next = this.#heard.indexOf("\n", end) + 1;
        const reply = this.#heard.slice(0, next);
        this.#heard = this.#heard.slice(next);
        return reply.trimEnd().replaceAll("\r\n", "\n");
      }
      const { done, value } = await this.#reader.read();
      if (done) return "(end)";
      this.#heard += new TextDecoder().decode(value);
    }
  }

  /** Says a line or more and gives the reply. */
  async ask(line: string): Promise<string> {
    await this.say(line + "\r\n");
    return await this.reply();
  }

  async startTls(options?: Parameters<Socket["startTls"]>[0]): Promise<void> {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#socket = this.#socket.startTls(options);
    this.#reader = this.#socket.readable.getReader();
    this.#writer = this.#socket.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    await this.#socket.opened;
  }

  async cut(): Promise<void> {
    await this.#socket.close(new Error("cut")).catch(() => {});
  }

  async close(): Promise<void> {
    await this.#socket.close().catch(() => {});
  }
}
