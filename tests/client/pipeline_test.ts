/** The pipeline with exchanges that do anything. */
import { assert, assertEquals } from "@std/assert";
import { Link } from "../../src/client/link.ts";
import { NOT_BEGUN, Pipeline } from "../../src/client/pipeline.ts";
import type { Exchange } from "../../src/client/pipeline.ts";
import type { Reply } from "../../src/core/reply.ts";
import { SmtpError } from "../../src/errors.ts";
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { test } from "../support/harness.ts";

const TIMEOUTS = {
  ...{ connect: 9e4, greeting: 9e4, ehlo: 9e4, starttls: 9e4, auth: 9e4, mail: 9e4, rcpt: 9e4, data: 9e4 },
  ...{ content: 9e4, reset: 9e4, quit: 9e4, command: 9e4, block: 9e4, end: 9e4, source: 9e4 },
};

/** Says one line and takes one reply. */
class Probe implements Exchange {
  readonly #pipeline: Pipeline;
  readonly #link: Link;
  readonly exclusive: boolean = false;
  readonly awaited = "command";
  readonly replies: number[] = [];
  failure: SmtpError | undefined;
  position = NOT_BEGUN;

  constructor(pipeline: Pipeline, link: Link) {
    this.#pipeline = pipeline;
    this.#link = link;
  }

  get awaitsReply(): boolean {
    return this.position !== NOT_BEGUN && this.replies.length === 0;
  }

  get finished(): boolean {
    return this.replies.length > 0;
  }

  begin(): void {
    this.#link.output.text("NOOP\r\n");
    this.#pipeline.release(this);
  }

  receive(reply: Reply): void {
    this.replies.push(reply.code);
  }

  fail(error: SmtpError): void {
    assertEquals(this.failure, undefined, "failed twice");
    this.failure = error;
  }
}

const BUG = new Error("a bug");
const bug = (): never => {
  throw BUG;
};

const MEMBERS = [
  "begin",
  "receive",
  "fail",
  "shown",
  "explain",
  "awaitsReply",
  "finished",
  "awaited",
  "exclusive",
];

for (const member of [...MEMBERS, "secret"] as (keyof Exchange)[]) {
  for (const ends of ["with a reply that makes no sense", "at once"]) {
    test(`Pipeline fails all exchanges when ${member} of one throws, and the session ends ${ends}`, async () => {
      const [socket, server] = memorySocketPair();
      const link = new Link(socket);
      const pipeline = new Pipeline(link, { timeouts: TIMEOUTS, maxBytesInFlight: 1e6, trace: undefined });
      pipeline.window.limit = 2;
      const throwing = new Probe(pipeline, link);
      const isMethod = typeof throwing[member as "begin"] === "function" || member === "shown" ||
        member === "explain";
      Object.defineProperty(throwing, member, isMethod ? { value: bug } : { get: bug });
      const others = [new Probe(pipeline, link), new Probe(pipeline, link), new Probe(pipeline, link)];
      pipeline.enqueue(others[0]!);
      pipeline.enqueue(throwing);
      pipeline.enqueue(others[1]!);
      pipeline.enqueue(others[2]!);
      const writer = server.writable.getWriter();
      const words = ends === "at once" ? "250 Ok\r\n" : "250 Ok\r\nwhat?\r\n";
      await writer.write(new TextEncoder().encode(words)).catch(() => {}); // the client may have left
      await server.close().catch(() => {});
      await pipeline.closed;
      for (const other of others) {
        assert(other.replies.length === 1 || other.failure instanceof SmtpError, member);
      }
      assertEquals(pipeline.pending, 0);
      await link.closed.catch(() => {});
    });
  }
}
