/**
 * Writes a content that is large or comes in pieces, as fast as the server takes it and no faster.
 *
 * @module
 */
import { DataEncoder } from "../streams/data_encoder.ts";
import { lengthAhead, namesRecipient } from "./command_lines.ts";
import type { Link } from "./link.ts";
import type { Content } from "./content.ts";
import { OutputBuffer } from "./output_buffer.ts";

/**
 * The smallest BDAT chunk but for the last. Each has a reply of its own; a source that gives a line at a time must not make a
 * command of each.
 */
const MIN_CHUNK = 64 * 1024;

const EMPTY = new Uint8Array();

/** What the pump tells, and asks. */
export interface PumpHooks {
  /** It waits for something else than before: for the source, or for the server. */
  turn(): void;
  /** A piece has left. `sent` counts the bytes of the message, before encoding. */
  progress(sent: number): void;
  /**
   * What is known: `"nothing"`, that the server knows `"bdat"`, or that it will also skip the chunks of this `"transaction"`, as
   * it has accepted a recipient.
   */
  known(): "nothing" | "bdat" | "transaction";
  /** The command of a BDAT chunk but the last was written. Returns what to wait for before the next, if anything. */
  chunk(command: string): Promise<void> | undefined;
  /** Settles when everything that was said has its reply. */
  answered(): Promise<void> | undefined;
  /** The end of the content was written, under BDAT by a command: from now on the server may take the message. */
  end(command?: string): void;
}

/** Writes one content. */
export class Pump {
  readonly #link: Link;
  readonly #content: Content;
  readonly #hooks: PumpHooks;
  #stopped = false;
  #readingSource = false;

  /** Whether it waits for the source, with nothing half written. */
  get readingSource(): boolean {
    return this.#readingSource;
  }

  /**
   * @param link Where to.
   * @param content What.
   * @param hooks Called as it goes on.
   */
  constructor(link: Link, content: Content, hooks: PumpHooks) {
    this.#link = link;
    this.#content = content;
    this.#hooks = hooks;
  }

  /**
   * Stops it, before the next command or piece.
   *
   * @returns Whether the wire is free now. If not, a chunk has to come to its end first; `run()` ends when it has.
   */
  stop(): boolean {
    this.#stopped = true;
    return this.#readingSource;
  }

  /**
   * Writes the content, with the mark of its end, unless it is stopped.
   *
   * @param transfer How.
   * @throws {SmtpError} `"source-failed"`, or what the check of the content says.
   * @throws What the socket throws.
   */
  run(transfer: "data" | "bdat"): Promise<void> {
    return transfer === "data" ? this.#runData() : this.#runBdat();
  }

  async #runData(): Promise<void> {
    const encoder = new DataEncoder();
    let sent = 0;
    for await (const piece of this.#pieces()) {
      await this.#link.send(encoder.encode(piece));
      if (this.#stopped) return;
      this.#hooks.progress(sent += piece.length);
    }
    if (this.#stopped) return;
    this.#link.output.bytes(encoder.end());
    this.#hooks.end();
  }

  async #runBdat(): Promise<void> {
    const encoder = this.#content.binary ? undefined : new DataEncoder({ transparency: false });
    const gathered = new OutputBuffer();
    let sent = 0;
    for await (const piece of this.#pieces()) {
      sent += piece.length;
      let encoded = encoder?.encode(piece) ?? piece;
      if (gathered.length + encoded.length < MIN_CHUNK) {
        gathered.bytes(encoded);
        continue;
      }
      if (this.#hooks.known() !== "transaction") {
        gathered.bytes(encoded);
        if (!await this.#mayLeave(gathered)) return;
        encoded = EMPTY;
      }
      const answered = this.#hooks.chunk(this.#writeChunk(gathered, encoded.length, ""));
      await (encoded === EMPTY ? this.#link.drain() : this.#link.send(encoded));
      await answered;
      if (this.#stopped) return;
      this.#hooks.progress(sent);
    }
    if (this.#stopped) return;
    if (encoder !== undefined) gathered.bytes(encoder.end());
    if (!await this.#mayLeave(gathered)) return;
    this.#hooks.end(this.#writeChunk(gathered, 0, " LAST"));
    this.#hooks.progress(sent);
  }

  /**
   * Waits where a server could take a line of a chunk for a command, see `command_lines.ts`. If it is not known to know BDAT, what
   * stands before that line leaves as a chunk of its own, and the rest only if that is taken. If nobody is known to get the
   * message, all of it waits.
   *
   * @returns Whether to go on.
   */
  async #mayLeave(gathered: OutputBuffer): Promise<boolean> {
    const known = this.#hooks.known();
    if (known === "transaction") return true;
    const bytes = gathered.take();
    const ahead = known === "nothing" ? lengthAhead(bytes) : 0;
    if (ahead > 0) {
      gathered.bytes(bytes.subarray(0, ahead));
      this.#hooks.chunk(this.#writeChunk(gathered, 0, ""));
      await this.#link.drain();
    }
    gathered.bytes(bytes.subarray(ahead));
    if (ahead === 0 && (known === "nothing" || !namesRecipient(bytes))) return true;
    await this.#hooks.answered();
    return !this.#stopped && this.#hooks.known() !== "nothing";
  }

  /** The command and what was gathered; `more` bytes of the chunk follow. */
  #writeChunk(gathered: OutputBuffer, more: number, last: "" | " LAST"): string {
    const command = `BDAT ${gathered.length + more}${last}`;
    this.#link.output.text(`${command}\r\n`);
    this.#link.output.bytes(gathered.take());
    return command;
  }

  /** The content. Ends when the pump is stopped. */
  async *#pieces(): AsyncGenerator<Uint8Array, undefined> {
    const source = this.#content.read(this.#link.mayReuse);
    while (!this.#stopped) {
      this.#reads(true);
      let piece: IteratorResult<Uint8Array>;
      try {
        piece = await source.next();
      } finally {
        this.#reads(false);
      }
      if (piece.done || this.#stopped) return;
      yield piece.value;
    }
  }

  #reads(reading: boolean): void {
    this.#readingSource = reading;
    if (!this.#stopped) this.#hooks.turn();
  }
}
