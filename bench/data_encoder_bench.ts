/**
 * The speed of encoding and decoding content, in GB/s of input: medians of several rounds, in which all ways take turns.
 *
 * ```sh
 * deno run bench/data_encoder_bench.ts   # or node, or bun run
 * deno run --allow-write=results.jsonl bench/data_encoder_bench.ts --json results.jsonl
 * ```
 *
 * `--rounds N` sets the number of rounds (default 15), `--case TEXT` measures only the cases whose name contains the text,
 * `--peers` adds nodemailer's DataStream. `deno task bench:encoder` runs this on every runtime.
 *
 * @module
 */
import { appendFileSync } from "node:fs";
import { finished, type Transform } from "node:stream";
import { parseArgs } from "node:util";
import { DataDecoder, DataEncoder, DataEncoderStream } from "../src/streams/mod.ts";
import { importPeer } from "./senders/import_peer.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "string" },
    rounds: { type: "string" },
    case: { type: "string" },
    peers: { type: "boolean", default: false },
  },
});
const rounds = Number(flags.rounds ?? 15);
const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";

const KIB = 1_024;
const CHUNK = 64 * KIB;
/** The size of the input. Long, because the processor's branch predictor learns the line lengths of a short text. */
const TOTAL = 4 * KIB * KIB;
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const WORDS = ["the", "mail", "of", "a", "receiver", "to", "transparency", "is", "sent", "line", "and", "by"];

/** Makes a random number generator with the same numbers in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function text(line: (index: number) => string): Uint8Array {
  const lines: string[] = [];
  for (let i = 0, length = 0; length < TOTAL; i++) length += lines[lines.push(line(i)) - 1]!.length;
  return new TextEncoder().encode(lines.join("")).slice(0, TOTAL);
}

function prose(width: number, end: string, dotEvery = Infinity, words = WORDS): Uint8Array {
  const next = random(1);
  return text((index) => {
    const limit = width - 8 + Math.floor(next() * 16);
    let line = index % dotEvery === dotEvery - 1 ? "." : "";
    while (line.length < limit) line += words[Math.floor(next() * words.length)] + " ";
    return line.slice(0, limit) + end;
  });
}

function base64(end: string): Uint8Array {
  const next = random(2);
  return text(() => {
    let line = "";
    for (let i = 0; i < 76; i++) line += BASE64[Math.floor(next() * 64)];
    return line + end;
  });
}

function binary(): Uint8Array {
  const next = random(3);
  return Uint8Array.from({ length: TOTAL }, () => next() * 256);
}

/** Cuts bytes into chunks with memory of their own, `shift` bytes off the word boundary. */
function cut(bytes: Uint8Array, length = CHUNK, shift = 0): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += length) {
    const part = bytes.subarray(i, i + length);
    const chunk = new Uint8Array(shift + part.length).subarray(shift);
    chunk.set(part);
    chunks.push(chunk);
  }
  return chunks;
}

const inputs: Record<string, () => Uint8Array[]> = {
  "text CRLF, 64 KiB": () => cut(prose(72, "\r\n")),
  "base64 CRLF, 64 KiB": () => cut(base64("\r\n")),
  "base64 LF, 64 KiB": () => cut(base64("\n")),
  "text LF, 64 KiB": () => cut(prose(72, "\n")),
  "text LF, short lines, dots, 64 KiB": () => cut(prose(40, "\n", 10)),
  "UTF-8 text LF, 64 KiB": () =>
    cut(prose(60, "\n", Infinity, ["Все", "счастливые", "семьи", "похожи", "друг", "на"])),
  "binary, 64 KiB": () => cut(binary()),
  "text CRLF, unaligned, 64 KiB": () => cut(prose(72, "\r\n"), CHUNK, 1),
  "base64 LF, unaligned, 64 KiB": () => cut(base64("\n"), CHUNK, 1),
  "base64 LF, 1 MiB": () => cut(base64("\n"), KIB * KIB),
  "text CRLF, 1 KiB": () => cut(prose(60, "\r\n"), KIB),
  "text LF, 1 KiB": () => cut(prose(60, "\n"), KIB),
};

type Way = (chunks: Uint8Array[]) => void | Promise<void>;

const target = new Uint8Array(DataEncoder.maxLength(KIB * KIB));

const ways: Record<string, Way> = {
  encode(chunks) {
    const encoder = new DataEncoder();
    for (const chunk of chunks) encoder.encode(chunk);
  },
  encodeInto(chunks) {
    const encoder = new DataEncoder();
    for (const chunk of chunks) encoder.encodeInto(chunk, target, 0);
  },
  async DataEncoderStream(chunks) {
    const source = chunks.values();
    const readable = new ReadableStream<Uint8Array>({
      pull(controller): void {
        const { done, value } = source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    await readable.pipeThrough(new DataEncoderStream()).pipeTo(new WritableStream());
  },
  decode(chunks) {
    const decoder = new DataDecoder();
    for (const chunk of chunks) decoder.decode(chunk);
  },
};

if (flags.peers) {
  const path = "nodemailer/lib/smtp-connection/data-stream";
  const { default: DataStream } = await importPeer<{ default: new () => Transform }>(path);
  // As nodemailer uses it between a message and a socket: written to, and read at full speed.
  ways["nodemailer DataStream"] = async (chunks) => {
    const stream = new DataStream();
    stream.resume();
    for (const chunk of chunks) {
      if (!stream.write(chunk)) await new Promise<void>((resolve) => stream.once("drain", resolve));
    }
    stream.end();
    await new Promise<void>((resolve) => finished(stream, () => resolve()));
  };
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
}

function lengthOf(chunks: Uint8Array[]): number {
  return chunks.reduce((length, chunk) => length + chunk.length, 0);
}

const SUBJECTS: Readonly<Record<string, string>> = {
  "encode": "@streams/smtp",
  "decode": "@streams/smtp",
  "nodemailer DataStream": "nodemailer DataStream",
};

async function measure(name: string, input: Uint8Array[]): Promise<void> {
  const encoder = new DataEncoder();
  const wire = input.map((chunk) => encoder.encode(chunk));
  const results = new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]));
  // The first three rounds are not counted: the engine is still compiling.
  for (let round = -3; round < rounds; round++) {
    for (const [way, run] of Object.entries(ways)) {
      const chunks = way === "decode" ? wire : input;
      const start = performance.now();
      await run(chunks);
      const seconds = (performance.now() - start) / 1_000;
      if (round >= 0) results.get(way)!.push(lengthOf(chunks) / seconds / 1e9);
    }
  }
  const ours = [...results.get("encode")!];
  let row = name.padEnd(36);
  for (const [way, samples] of results) {
    const value = median([...samples]);
    const time = input[0]!.length <= KIB ? ` (${(KIB / value).toFixed(0)} ns)` : "";
    row += (value.toFixed(2) + time).padStart(24);
    if (flags.json === undefined) continue;
    // There is no other decoder to compare with.
    const decodes = way === "decode";
    const ratio = decodes ? 1 : median(ours.map((value, round) => value / samples[round]!));
    const record = {
      bench: "encoder",
      case: decodes ? `${name}, decode` : name,
      runtime,
      subject: SUBJECTS[way] ?? `@streams/smtp ${way}`,
      value: Number(value.toPrecision(4)),
      unit: "GB/s",
      ratio: Number(ratio.toPrecision(4)),
    };
    appendFileSync(flags.json, JSON.stringify(record) + "\n");
  }
  console.log(row);
}

console.log(`GB/s on ${runtime}`.padEnd(36) + Object.keys(ways).map((way) => way.padStart(24)).join(""));
for (const [name, input] of Object.entries(inputs)) {
  if (flags.case === undefined || name.includes(flags.case)) await measure(name, input());
}
