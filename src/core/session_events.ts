/**
 * What happens in a server's session and has to be decided, or done, outside of it.
 *
 * @module
 */
import type { Mailbox } from "./address.ts";
import type { EsmtpParameters } from "./command_line.ts";
import type { Reply } from "./reply.ts";

/** Who a message is from, as `MAIL` says it. */
export interface Sender {
  /** The address, quoted where it has to be; `null` for the null reverse-path `<>`, which bounces use. */
  readonly address: string | null;
  /** The address in its parts; `null` for `<>`. */
  readonly mailbox: Mailbox | null;
  /** The parameters of the command, such as `SIZE` and `BODY`, keywords in upper case. */
  readonly parameters: EsmtpParameters;
}

/** Who a message is for, as `RCPT` says it. */
export interface Recipient {
  /** The address, quoted where it has to be; `"postmaster"` where the command names no domain. */
  readonly address: string;
  /** The address in its parts; the domain is empty for a bare `<Postmaster>` (RFC 5321, section 4.1.1.3). */
  readonly mailbox: Mailbox;
  /** The parameters of the command, keywords in upper case. */
  readonly parameters: EsmtpParameters;
}

/** The envelope of a mail transaction. */
export interface ServerEnvelope {
  /** The sender's address; `null` for the null reverse-path `<>`. */
  readonly from: string | null;
  /** The addresses of the recipients that were accepted. */
  readonly to: readonly string[];
  /** The parameters of `MAIL`, keywords in upper case. */
  readonly parameters: EsmtpParameters;
  /** The sender as `MAIL` gave it. */
  readonly sender: Sender;
  /** The recipients that were accepted, as `RCPT` gave them. */
  readonly recipients: readonly Recipient[];
}

/**
 * What {@linkcode ServerSession.next} gives. `connect`, `greet`, `auth`, `auth-response`, `mail`, `rcpt` and the last
 * `content` want an answer before anything else.
 */
export type SessionEvent =
  /** The connection stands, and the greeting waits to be sent. */
  | { readonly kind: "connect" }
  /** EHLO or HELO. */
  | { readonly kind: "greet"; readonly name: string; readonly esmtp: boolean }
  /** AUTH; `response` is the initial response in base64. */
  | { readonly kind: "auth"; readonly mechanism: string; readonly response: string | undefined }
  /** The answer to a challenge, in base64. */
  | { readonly kind: "auth-response"; readonly response: string }
  /** AUTH has come to its end without an answer: cancelled, or malformed. */
  | { readonly kind: "auth-end" }
  /** MAIL. */
  | { readonly kind: "mail"; readonly sender: Sender }
  /** RCPT. */
  | { readonly kind: "rcpt"; readonly recipient: Recipient }
  /** Content, decoded. With `fault` the message is refused whatever the answer, and its bytes are not given out. */
  | {
    readonly kind: "content";
    readonly bytes: Uint8Array;
    readonly last: boolean;
    readonly fault: Reply | undefined;
  }
  /** The transaction was given up, by RSET or a new EHLO. */
  | { readonly kind: "reset" }
  /** The reply to STARTTLS has to leave, then TLS begins and `secured()` is called. */
  | { readonly kind: "starttls" }
  /** The output has to leave, then the connection ends. */
  | { readonly kind: "close" };
