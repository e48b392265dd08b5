/**
 * The content of a message as a stream.
 *
 * @module
 */
import { ProtocolError } from "../core/errors.ts";
import type { ContentEvent } from "./content_reader.ts";

/** Gives the next piece of content; `undefined` when the session is over. */
type NextContent = () => Promise<ContentEvent | undefined>;

/**
 * The content of one message. The stream reads from the client when it is read from, and ends only where the message
 * does: a message that was cut off never looks whole.
 */
export class MessageContent {
  /** The stream that the handler reads. */
  readonly readable: ReadableStream<Uint8Array>;
  /** The error that the stream failed with. */
  error: Error | undefined;

  readonly #next: NextContent;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** `over`: no more content will come. */
  #state: "reading" | "over" = "reading";
  /** The handler has returned, or does not want the rest. */
  #unwanted = false;
  #pulling: Promise<void> | undefined;

  /**
   * @param first The first piece, which has arrived already: that of a small message is the last one too.
   * @param next Gives the next piece.
   */
  constructor(first: ContentEvent, next: NextContent) {
    this.#next = next;
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        this.#take(first);
      },
      pull: () => this.#pulling = this.#pull(),
      cancel: () => void (this.#unwanted = true),
    }, { highWaterMark: 0 });
  }

  /** Reads the rest, which the handler has left, and throws it away. The stream gives nothing any more. */
  async drain(): Promise<void> {
    await this.#pulling;
    if (this.#state === "reading") {
      this.#fail(new TypeError("Cannot read the content: the handler has returned"));
    }
    while (this.#state === "reading") this.#take(await this.#next());
  }

  async #pull(): Promise<void> {
    // A chunk may hold nothing but the beginning of the end.
    while (this.#state === "reading" && !this.#unwanted && !this.#take(await this.#next()));
  }

  /** Tells whether the stream has received something. */
  #take(event: ContentEvent | undefined): boolean {
    if (event === undefined) {
      this.#state = "over";
      return this.#fail(new ProtocolError("The connection ended before the end of the message"));
    }
    if (event.last) this.#state = "over";
    if (event.fault !== undefined) return this.#fail(new ProtocolError(event.fault.text));
    if (this.#unwanted) return false;
    if (event.bytes.length > 0) this.#controller.enqueue(event.bytes);
    if (event.last) this.#controller.close();
    return event.last || event.bytes.length > 0;
  }

  #fail(error: Error): true {
    if (!this.#unwanted) {
      this.#unwanted = true;
      this.error = error;
      this.#controller.error(error);
    }
    return true;
  }
}
