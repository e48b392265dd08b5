/**
 * The conversations that are cut: STARTTLS, a login and three messages, in each way that messages go.
 * @module
 */
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import type { Receipt } from "../../src/client/receipt.ts";
import type { ServerHandlers, ServerSession } from "../../src/server/handlers.ts";
import type { ServeSocketOptions } from "../../src/server/options.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { ModelServer } from "../support/model_server.ts";
import { type Books, lastLine, type Mail, mailOf } from "./books.ts";

/**
 * - `data`: with PIPELINING, by DATA, all three at once.
 * - `bdat`: with PIPELINING and CHUNKING, all three at once.
 * - `single`: a server without extensions, one command at a time.
 * - `steps`: `mail()`, `rcpt()`, `data()` or `bdat()`, by hand.
 * - `lmtp`: LMTP, two recipients each.
 */
export type Way = "data" | "bdat" | "single" | "steps" | "lmtp";

/** All of them. */
export const WAYS: readonly Way[] = ["data", "bdat", "single", "steps", "lmtp"];

/** How many messages a conversation has. */
const MESSAGES = 3;

/** Whether our own server knows the way. It has no BDAT and no LMTP: then another one serves. */
export function isForOwnServer(way: Way): boolean {
  return way === "data" || way === "single";
}

/** The options of our own server. */
export function serverOptions(way: Way): ServeSocketOptions {
  return { serverName: "mx.test", hide: way === "single" ? ["PIPELINING"] : [], onError: () => {} };
}

/**
 * The handlers of our own server: what they have read whole they take.
 *
 * @param books What is told of each message that is taken.
 * @param onClose Called at the end of a session.
 */
export function handlersOf(
  books: () => Books,
  onClose: (session: ServerSession) => void = () => {},
): ServerHandlers {
  return {
    auth: () => true,
    async message(content, { envelope }) {
      let text = "";
      const decoder = new TextDecoder("latin1");
      for await (const bytes of content) text += decoder.decode(bytes);
      books().take(envelope.from!, envelope.to, text);
    },
    close: onClose,
  };
}

/** Serves BDAT or LMTP. Resolves when the session is over. */
export async function serveModel(way: Way, socket: Socket, books: Books): Promise<void> {
  const model = new ModelServer(socket, {
    protocol: way === "lmtp" ? "lmtp" : "smtp",
    pipelining: way !== "steps",
    chunking: true,
    startTls: true,
    login: true,
  });
  await model.done;
  for (const { from, to, content } of model.delivered) books.take(from, to, content);
}

/** The options of the client, but for the connection. */
export function clientOptions(way: Way): SmtpClientOptions {
  return {
    hostname: "localhost",
    security: "starttls",
    auth: { user: "me", pass: "secret words", mechanisms: ["PLAIN"] },
    clientName: "client.test",
    protocol: way === "lmtp" ? "lmtp" : "smtp",
  };
}

/** The messages of a conversation, which the books have open now. */
export function mailsOf(name: string, way: Way, books: Books): Mail[] {
  return Array.from({ length: MESSAGES }, (_, index) => {
    const mail = mailOf(`${name}m${index}`, way === "lmtp" ? 2 : 1);
    books.open(mail);
    return mail;
  });
}

/**
 * Holds a conversation to its end, whatever happens, and tells the books.
 *
 * @param way How messages go.
 * @param options Where to.
 * @param mails What to send.
 * @param books What to tell.
 * @param send A signal for each `send()`.
 */
export async function converse(
  way: Way,
  options: SmtpClientOptions,
  mails: readonly Mail[],
  books: Books,
  send: { signal?: AbortSignal } = {},
): Promise<void> {
  let client: SmtpClient;
  try {
    client = await SmtpClient.connect(options);
  } catch (error) {
    for (const mail of mails) books.settle(mail, error);
    return;
  }
  const settle = async (mail: Mail, result: Promise<Receipt>) => {
    try {
      books.settle(mail, await result);
    } catch (error) {
      books.settle(mail, error);
    }
  };
  const sent = (mail: Mail) => settle(mail, client.send({ from: mail.from, to: mail.to }, mail.text, send));
  if (way === "single") { for (const mail of mails) await sent(mail); }
  else if (way === "steps") {
    for (const [index, mail] of mails.entries()) await settle(mail, step(client, mail, index === 1));
  } else await Promise.all(mails.map(sent));
  await client.quit();
  await client.closed;
}

/** One message by hand. */
async function step(client: SmtpClient, { from, to, text }: Mail, chunked: boolean): Promise<Receipt> {
  await client.mail(from);
  for (const address of to) await client.rcpt(address);
  if (chunked) {
    const bytes = new TextEncoder().encode(text);
    await client.bdat(bytes.subarray(0, 10));
    return await client.bdat(bytes.subarray(10), { last: true });
  }
  const content = await client.data();
  const writer = content.getWriter();
  // The receipt says why.
  writer.closed.catch(() => {});
  writer.write(text).catch(() => {});
  writer.close().catch(() => {});
  return await content.receipt;
}

/** Whether the content of a message is in a text that has left, to its last byte: under DATA there is a dot after it. */
export function isWhole({ name }: Mail, text: string): boolean {
  const last = lastLine(name);
  const at = text.indexOf(last);
  if (at < 0) return false;
  const isChunk = text.lastIndexOf("\r\nBDAT ", at) > text.lastIndexOf("\r\nDATA\r\n", at);
  return isChunk || text.startsWith(".\r\n", at + last.length);
}
