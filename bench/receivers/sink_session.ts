/**
 * A receiver that accepts everything and only looks for the end of each content: bytes in, replies out.
 *
 * @module
 */
import { Buffer } from "node:buffer";

const END = Buffer.from("\r\n.\r\n");

/** A session after its greeting. */
export class SinkSession {
  readonly #offers: readonly string[];
  /** A command whose end has not arrived yet. */
  #line = "";
  #state: "command" | "data" | "bdat" | "auth" = "command";
  /** How many bytes of a BDAT chunk are still to come. */
  #left = 0;
  /** The last bytes of the content so far: the end of the content may be split anywhere. */
  #tail = END.subarray(0, 2);
  #replies = "";
  /** What the client asked the connection to do. */
  request: "nothing" | "starttls" | "quit" = "nothing";

  /** @param offers The keywords in the reply to EHLO. */
  constructor(offers: readonly string[]) {
    this.#offers = offers;
  }

  /**
   * Takes bytes from the client.
   *
   * @returns The replies to them, ASCII.
   */
  push(chunk: Buffer): string {
    this.#replies = "";
    for (let at = 0; at < chunk.length;) {
      if (this.#state === "bdat") at = this.#skip(chunk, at);
      else if (this.#state === "data") at = this.#scan(chunk, at);
      else at = this.#read(chunk, at);
    }
    return this.#replies;
  }

  #skip(chunk: Buffer, at: number): number {
    const length = Math.min(this.#left, chunk.length - at);
    this.#left -= length;
    if (this.#left === 0) this.#accept();
    return at + length;
  }

  #scan(chunk: Buffer, at: number): number {
    const seam = Buffer.concat([this.#tail, chunk.subarray(at, at + END.length - 1)]);
    const inSeam = seam.indexOf(END);
    if (inSeam >= 0) {
      this.#accept();
      return at + inSeam + END.length - this.#tail.length;
    }
    const end = chunk.indexOf(END, at);
    if (end >= 0) {
      this.#accept();
      return end + END.length;
    }
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(Math.max(at, chunk.length - 4))]).subarray(-4);
    return chunk.length;
  }

  #accept(): void {
    this.#state = "command";
    this.#replies += "250 2.0.0 OK\r\n";
  }

  #read(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(10, at);
    this.#line += chunk.toString("latin1", at, end < 0 ? chunk.length : end + 1);
    if (end < 0) return chunk.length;
    const command = this.#line;
    this.#line = "";
    this.#obey(command);
    return end + 1;
  }

  #obey(command: string): void {
    if (this.#state === "auth") {
      this.#state = "command";
      this.#replies += "235 2.7.0 Welcome\r\n";
      return;
    }
    switch (command.slice(0, 4).toUpperCase()) {
      case "EHLO":
        this.#replies += ["sink.example.org", ...this.#offers]
          .map((line, index) => `250${index < this.#offers.length ? "-" : " "}${line}\r\n`).join("");
        break;
      case "DATA":
        this.#replies += "354 Go on\r\n";
        this.#state = "data";
        this.#tail = END.subarray(0, 2);
        break;
      case "BDAT":
        this.#left = parseInt(command.slice(5), 10);
        if (this.#left === 0) this.#accept();
        else this.#state = "bdat";
        break;
      case "AUTH":
        if (command.trim().split(" ").length > 2) {
          this.#replies += "235 2.7.0 Welcome\r\n";
        } else {
          this.#replies += "334 \r\n";
          this.#state = "auth";
        }
        break;
      case "STAR":
        this.request = "starttls";
        this.#replies += "220 2.0.0 Go ahead\r\n";
        break;
      case "QUIT":
        this.request = "quit";
        this.#replies += "221 2.0.0 Bye\r\n";
        break;
      default:
        this.#replies += "250 2.0.0 OK\r\n";
    }
  }
}
