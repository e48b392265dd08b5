/**
 * Where the content of a message is written, step by step.
 *
 * @module
 */
import type { Reply } from "../core/reply.ts";
import { SmtpError } from "../errors.ts";
import { DataEncoder } from "../streams/data_encoder.ts";
import type { ContentCheck } from "./content_check.ts";
import { cutShort, serviceClosing } from "./failure.ts";
import type { Receipt } from "./receipt.ts";

/** What stands behind a writer. */
export interface ContentSink {
  /** What the server has said before the content was complete: it wants no more then. */
  readonly early: Reply | undefined;
  /** Writes encoded content. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes the end, and waits for what the server says. */
  complete(end: Uint8Array): Promise<Receipt>;
  /** Cuts the connection. */
  cut(error: SmtpError): void;
}

const encoder = new TextEncoder();

const REFUSED = "The server does not wait for the end of the message";

/**
 * A stream that takes the content of a message: header, empty line, body. Line ends are made CRLF, dots are stuffed, text is
 * sent as UTF-8; writes wait for the server. Closing it ends the message and waits for the server's word on it: `close()`
 * rejects with an `SmtpError` if that is a no. Aborting it cuts the connection, the only way to keep a server from taking
 * a part of a message for the whole.
 */
export class MessageWriter extends WritableStream<Uint8Array | string> {
  /** What the server said, once it has taken the message; rejects if it has not. Marked as handled. */
  readonly receipt: Promise<Receipt>;

  /**
   * Is made by `SmtpClient.data()`.
   *
   * @param check Looks at the content.
   * @param sink Where it goes.
   */
  constructor(check: ContentCheck, sink: ContentSink) {
    const receipt = Promise.withResolvers<Receipt>();
    receipt.promise.catch(() => {});
    const data = new DataEncoder();
    const fail = (error: unknown): never => {
      receipt.reject(error);
      throw error;
    };
    const cut = (error: SmtpError) => {
      sink.cut(cutShort());
      return fail(error);
    };
    super({
      async write(chunk) {
        let bytes: Uint8Array;
        try {
          bytes = toBytes(chunk);
          check.push(bytes);
        } catch (error) {
          return cut(toFailure(error));
        }
        try {
          await sink.write(data.encode(bytes));
        } catch (error) {
          return fail(error);
        }
        if (sink.early !== undefined) return cut(refused(sink.early));
      },
      async close() {
        if (sink.early !== undefined) return cut(refused(sink.early));
        try {
          receipt.resolve(await sink.complete(data.end()));
        } catch (error) {
          fail(error);
        }
      },
      abort(reason) {
        try {
          cut(
            new SmtpError("aborted", "The message was aborted", {
              phase: "content",
              cause: reason,
            }),
          );
        } catch {
          // It is in the receipt; the stream has the reason.
        }
      },
    });
    this.receipt = receipt.promise;
  }
}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return encoder.encode(chunk);
  throw new SmtpError(
    "invalid-message",
    `Cannot write to a message: it takes bytes and strings, the current value is ${typeof chunk}`,
    { phase: "content" },
  );
}

/** The connection is cut, so the session is not usable, whatever the check has said. */
function toFailure(error: unknown): SmtpError {
  const { code, message } = error as SmtpError;
  return new SmtpError(code, message, { phase: "content", cause: error });
}

function refused(reply: Reply): SmtpError {
  if (reply.code === 421) return serviceClosing(reply, "content");
  const negative = reply.temporary || reply.permanent;
  return new SmtpError(negative ? "message-refused" : "protocol-error", `${REFUSED}: ${reply.toString()}`, {
    outcome: negative ? "refused" : "not-sent",
    phase: "content",
    reply,
  });
}
