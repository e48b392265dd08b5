/**
 * Each command of SMTP, said alone.
 *
 * @module
 */
import type { NamedAddress } from "../core/address_list.ts";
import type { Extensions } from "../core/extensions.ts";
import type { MailParameters } from "../core/parameters.ts";
import type { Reply } from "../core/reply.ts";
import type { TlsOptions } from "../sockets/socket.ts";
import type { Recipient } from "./envelope.ts";
import type { MessageWriter } from "./message_writer.ts";
import type { Auth } from "./options.ts";
import type { Receipt } from "./receipt.ts";
import { badSequence } from "./refusal.ts";
import type { Session } from "./session.ts";
import type { Steps } from "./steps.ts";
import type { XclientAttributes, XforwardAttributes } from "./xclient.ts";

/** What a server knows about an address or a list. */
export interface AddressList {
  /** The server's reply. */
  readonly reply: Reply;
  /** Whether the server has looked: `false` for 252, "cannot tell, but will try" (RFC 5321, section 3.5.3). */
  readonly verified: boolean;
  /** The addresses that it names. */
  readonly addresses: readonly NamedAddress[];
}

/**
 * The commands of a session, each a method of its own. The client knows the state of the session: what the protocol forbids
 * at a point is an `SmtpError` with the code `"bad-sequence"`, and nothing is sent. A negative reply is an error too, with the
 * reply in it, and the session goes on; {@linkcode SmtpCommands.command} alone gives every reply as it is.
 *
 * From `mail()` to the end of the transaction (`data()`, the last `bdat()`, or `reset()`) the connection belongs to it: a
 * `send()` meanwhile is refused.
 */
export class SmtpCommands {
  readonly #session: Session;
  #steps: Steps | undefined;
  /** Whether `mail()` waits for its turn or its reply. */
  #opening = false;

  /** @ignore */
  protected constructor(session: Session) {
    this.#session = session;
  }

  /** What the server offers, from its last reply to EHLO. */
  get extensions(): Extensions {
    return this.#session.extensions;
  }

  /** @ignore */
  protected get stepping(): boolean {
    return this.#opening || this.#steps?.open !== undefined;
  }

  async #load(isMail = false): Promise<Steps> {
    // It would wait for the end of the transaction.
    if (this.#opening && !isMail) throw badSequence("Cannot say a command: mail() waits for its reply");
    const { Steps } = await import("./steps.ts");
    return this.#steps ??= new Steps(this.#session);
  }

  /**
   * EHLO, or LHLO over LMTP: greets the server and learns what it offers. It ends a transaction that is open on the server
   * (RFC 5321, section 4.1.4). `connect()` has said it.
   *
   * @param domain What the client calls itself: a domain or an address literal. Default: as the options say.
   * @returns The reply; {@linkcode SmtpCommands.extensions} has what it says.
   */
  async ehlo(domain?: string): Promise<Reply> {
    return await (await this.#load()).hello("EHLO", domain);
  }

  /**
   * HELO: greets a server that does not know EHLO. Nothing is on offer then.
   *
   * @param domain What the client calls itself: a domain or an address literal. Default: as the options say.
   * @returns The reply.
   */
  async helo(domain?: string): Promise<Reply> {
    return await (await this.#load()).hello("HELO", domain);
  }

  /**
   * STARTTLS: goes over to TLS, and greets the server anew, since what was learnt in the clear may have been somebody
   * else's words (RFC 3207). `connect()` has done it where the options ask for it.
   *
   * @param tls How, where it is not to be as the options say.
   * @throws {SmtpError} `"starttls-unavailable"` if it is not on offer or refused; the session can go on then.
   */
  async startTls(tls?: TlsOptions): Promise<void> {
    await (await this.#load()).startTls(tls);
  }

  /**
   * AUTH: logs in, with the strongest mechanism that the server offers and the credentials allow (RFC 4954). `connect()` has
   * done it where the options have `auth`. After a refusal it may be called again.
   *
   * @param auth Who as. Default: as the options say.
   * @returns The name of the mechanism that worked.
   * @throws {SmtpError} `"auth-failed"`, `"auth-unsupported"` or `"auth-insecure"`; `usable` says whether the session goes on.
   * @throws {TypeError} If there is nobody to log in as, or `auth` makes no sense.
   */
  async authenticate(auth: Auth | undefined = this.#session.settings.auth): Promise<string> {
    return await (await this.#load()).authenticate(auth);
  }

  /**
   * MAIL: begins a transaction, once everything that is in flight has ended.
   *
   * @param from Where bounces go; `null` or `""` for nowhere.
   * @param parameters What is asked for with the message.
   * @returns The reply.
   * @throws {SmtpError} `"sender-refused"`; or why it was not said.
   */
  async mail(from: string | null, parameters: MailParameters = {}): Promise<Reply> {
    if (this.stepping) throw badSequence("Cannot say MAIL: a transaction that was begun with mail() is open");
    this.#opening = true;
    try {
      return await (await this.#load(true)).mail(from, parameters);
    } finally {
      this.#opening = false;
    }
  }

  /**
   * RCPT: names a recipient of the transaction.
   *
   * @param recipient The address, or the address with what is asked for.
   * @returns The reply.
   * @throws {SmtpError} `"recipients-refused"`: the transaction goes on with the others.
   */
  async rcpt(recipient: string | Recipient): Promise<Reply> {
    return await (await this.#load()).rcpt(recipient);
  }

  /**
   * DATA: gives a stream to write the message to. Closing it ends the transaction, aborting it cuts the connection.
   *
   * @returns The stream; its `receipt` has what the server says at the end.
   * @throws {SmtpError} `"message-refused"` if the server does not want it.
   */
  async data(): Promise<MessageWriter> {
    return await (await this.#load()).data();
  }

  /**
   * BDAT: a chunk of the message, sent exactly as it is (RFC 3030). The last one ends the transaction.
   *
   * @param chunk The bytes. Line ends have to be CRLF, unless the body is BINARYMIME; dots need no care.
   * @param options `last`: whether it is the last chunk. Default: `false`.
   * @returns The reply, or the receipt behind the last chunk.
   * @throws {SmtpError} `"message-refused"`: `reset()` is what is left then.
   */
  bdat(chunk: Uint8Array, options: { last: true }): Promise<Receipt>;
  /**
   * BDAT: a chunk that is not the last.
   *
   * @param chunk The bytes.
   * @param options Nothing, or `last: false`.
   * @returns The reply.
   */
  bdat(chunk: Uint8Array, options?: { last?: false }): Promise<Reply>;
  async bdat(chunk: Uint8Array, { last = false }: { last?: boolean } = {}): Promise<Reply | Receipt> {
    return await (await this.#load()).bdat(chunk, last);
  }

  /**
   * RSET: makes the server forget the transaction that was begun.
   *
   * @returns Its reply.
   */
  async reset(): Promise<Reply> {
    return await (await this.#load()).reset();
  }

  /**
   * NOOP: asks whether the server is still there.
   *
   * @returns Its reply.
   */
  async noop(): Promise<Reply> {
    return await (await this.#load()).noop();
  }

  /**
   * VRFY: asks who an address or a name is.
   *
   * @param address The address, or the name of a user.
   * @returns What the server knows.
   * @throws {SmtpError} `"command-refused"`: there is no such user, or the server does not tell.
   */
  async vrfy(address: string): Promise<AddressList> {
    return await (await this.#load()).list("VRFY", address);
  }

  /**
   * EXPN: asks who is on a list.
   *
   * @param list The name of the list.
   * @returns Its members.
   * @throws {SmtpError} `"command-refused"`: there is no such list, or the server does not tell.
   */
  async expn(list: string): Promise<AddressList> {
    return await (await this.#load()).list("EXPN", list);
  }

  /**
   * HELP: asks for help.
   *
   * @param topic What about. Default: in general.
   * @returns The reply; its `text` is the help.
   */
  async help(topic?: string): Promise<Reply> {
    return await (await this.#load()).help(topic);
  }

  /**
   * ETRN: asks the server to send what it holds for a node (RFC 1985).
   *
   * @param node The node's domain; with `@` before it for its subdomains too, with `#` before it the name of a queue.
   * @returns The reply.
   */
  async etrn(node: string): Promise<Reply> {
    return await (await this.#load()).etrn(node);
  }

  /**
   * XCLIENT: tells a Postfix that trusts us which client we speak for. The session then begins anew, as that client's.
   *
   * @param attributes What to tell. `login` makes the session one that has logged in.
   * @returns The reply.
   */
  async xclient(attributes: XclientAttributes): Promise<Reply> {
    return await (await this.#load()).xclient(attributes);
  }

  /**
   * XFORWARD: tells a Postfix that trusts us what to log about the client that the next message comes from.
   *
   * @param attributes What to tell.
   * @returns The last reply.
   */
  async xforward(attributes: XforwardAttributes): Promise<Reply> {
    return await (await this.#load()).xforward(attributes);
  }

  /**
   * Says a command that has no method of its own, and gives the reply, whatever it is.
   *
   * @param line The command without its line end.
   * @returns The server's reply.
   * @throws {TypeError} If the line has control characters, or is a command that changes the dialogue itself.
   */
  async command(line: string): Promise<Reply> {
    return await (await this.#load()).command(line);
  }
}
