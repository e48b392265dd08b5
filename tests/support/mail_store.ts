/**
 * What a server has delivered: files in a Maildir, one for each message and recipient.
 * @module
 */
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The headers that servers put in front of a message that they deliver. */
const TRACE_HEADERS =
  /^(?:(?:Return-Path|Envelope-To|X-Original-To|Delivered-To|Received|Authentication-Results|X-(?:Client|Helo|Mail|Rcpt)-\w+):[^\n]*\n(?:[ \t][^\n]*\n)*)*/i;

/** The headers are in the first bytes of a message. */
const HEADER_LENGTH = 8192;

/** How many files are read at the same time. */
const READERS = 64;

/** How long to wait while nothing arrives, and how often to look, in milliseconds. */
const STILL_LIMIT = 15_000;
const POLL = 20;

/** A message as it was delivered to one recipient. */
export interface DeliveredMail {
  /** The reverse-path; `""` for none. */
  sender: string;
  /** Who it was delivered to. Several, comma-separated, where the server wrote them together. */
  recipient: string;
  /** The message without the headers that the server has put in front of it. */
  content: Uint8Array;
}

/** Where a server keeps mail. */
export interface MailFolders {
  /** The Maildir's `new`; with `each`, the folder of the recipients' folders. */
  mail: string;
  /** Where each recipient has a folder by the name of the address: the path of the `new` in it. */
  each?: string;
  /** Where accepted mail waits: these folders are empty when everything is delivered. */
  queues?: readonly string[];
}

/** What a server has delivered so far. */
export class MailStore {
  readonly #folders: MailFolders;
  readonly #log: () => string;

  /**
   * @param folders Where it keeps mail.
   * @param log What it has logged, for when mail does not come.
   */
  constructor(folders: MailFolders, log: () => string) {
    this.#folders = folders;
    this.#log = log;
  }

  /**
   * Waits until everything that the server has accepted is delivered.
   * @param count How many files there must be at least.
   * @returns Everything that was delivered, in no particular order.
   * @throws {Error} If nothing more comes for a while and some is missing; with the server's log.
   */
  async settled(count: number): Promise<DeliveredMail[]> {
    const { queues = [] } = this.#folders;
    let last = -1;
    let deadline = 0;
    for (;;) {
      // The queue first: what leaves it afterwards is in the Maildir already.
      const waiting = (await Promise.all(queues.map(countFiles))).reduce((sum, number) => sum + number, 0);
      const files = await this.#list();
      if (waiting === 0 && files.length >= count) return await readAll(files);
      if (files.length !== last) {
        last = files.length;
        deadline = Date.now() + STILL_LIMIT;
      } else if (Date.now() > deadline) {
        throw new Error(`${files.length} of ${count} messages, ${waiting} files wait\n${this.#log()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  async #list(): Promise<MailFile[]> {
    const { mail, each } = this.#folders;
    if (each === undefined) return await listFiles(mail);
    const recipients = await readdir(mail);
    return (await Promise.all(
      recipients.map((recipient) => listFiles(join(mail, recipient, each), recipient)),
    ))
      .flat();
  }
}

interface MailFile {
  path: string;
  recipient: string | undefined;
}

async function listFiles(folder: string, recipient?: string): Promise<MailFile[]> {
  const names = existsSync(folder) ? await readdir(folder) : []; // made with the first message
  return names.map((name) => ({ path: join(folder, name), recipient }));
}

/** Removes the headers that the server has put in front of a message. */
export function readDelivered(file: Uint8Array): DeliveredMail {
  // Latin-1 keeps one character a byte.
  const start = Buffer.from(file.buffer, file.byteOffset, Math.min(file.length, HEADER_LENGTH));
  const headers = start.toString("latin1").match(TRACE_HEADERS)![0];
  const valueOf = (name: string) => headers.match(new RegExp(`^${name}:\\s*<?([^\\n>]*)`, "im"))?.[1];
  // smtp-sink writes the arguments of MAIL and RCPT, and an empty line after the message.
  const dumped = valueOf("X-Client-Addr") !== undefined;
  return {
    sender: valueOf("Return-Path") ?? valueOf("X-Mail-Args") ?? "",
    recipient: valueOf("X-Original-To") ?? valueOf("Envelope-To") ?? valueOf("Delivered-To") ??
      valueOf("X-Rcpt-Args") ?? "",
    content: file.subarray(headers.length, dumped ? -1 : undefined),
  };
}

async function readAll(files: readonly MailFile[]): Promise<DeliveredMail[]> {
  const mails: DeliveredMail[] = [];
  const rest = files.values();
  const reader = async () => {
    for (const { path, recipient } of rest) {
      const mail = readDelivered(await readFile(path));
      if (recipient !== undefined) mail.recipient = recipient;
      mails.push(mail);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return mails;
}

async function countFiles(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []); // folders of a queue come and go
  const counts = await Promise.all(
    entries.map((entry) => entry.isDirectory() ? countFiles(join(folder, entry.name)) : 1),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
