/**
 * A server that does what it should until it is asked for one thing, and then neither says a word nor hangs up.
 * @module
 */
import type { Socket } from "../../src/sockets/socket.ts";

/**
 * Where it stands still:
 * - `greeting`, or the first word of a command: it does not answer that.
 * - `EHLO again`: the one under TLS; `handshake`: it agrees to TLS and does not begin; `password`: it does not answer a step of a
 *   login.
 * - `354`: it says that, and reads no more; `content`: it does not answer the content; `second`: it answers it for the first
 *   recipient alone.
 * - `reading`: after EHLO it reads no more; `half a reply`: it answers MAIL with a part of a line.
 */
export type Standstill =
  | "greeting"
  | "EHLO"
  | "HELO"
  | "STARTTLS"
  | "handshake"
  | "EHLO again"
  | "AUTH"
  | "password"
  | "NOOP"
  | "MAIL"
  | "half a reply"
  | "RCPT"
  | "DATA"
  | "354"
  | "BDAT"
  | "content"
  | "second"
  | "RSET"
  | "QUIT"
  | "reading";

/** What it offers. */
export interface Offer {
  readonly at: Standstill;
  readonly extensions?: readonly string[];
  readonly protocol?: "smtp" | "lmtp";
}

class Still extends Error {}

/**
 * Serves until it stands still. The connection stays as it is then: whoever has made it closes it.
 *
 * @param first The connection.
 * @param offer What it offers, and where it stands still.
 */
export async function stallingServer(first: Socket, { at, extensions = [], protocol }: Offer): Promise<void> {
  let socket = first;
  let reader = socket.readable.getReader();
  let writer = socket.writable.getWriter();
  let input = "";
  let secured = false;
  let recipients = 0;
  let data = false;
  const decoder = new TextDecoder("latin1");
  const fill = async () => {
    const { value, done } = await reader.read();
    if (done) throw new Error("The client is gone");
    input += decoder.decode(value);
  };
  const take = async (length: number) => {
    while (input.length < length) await fill();
    input = input.slice(length);
  };
  const line = async (): Promise<string> => {
    while (!input.includes("\r\n")) await fill();
    const text = input.slice(0, input.indexOf("\r\n"));
    input = input.slice(text.length + 2);
    return text;
  };
  const say = async (text: string, step?: Standstill) => {
    if (step === at) throw new Still();
    await writer.write(new TextEncoder().encode(text + "\r\n"));
  };
  const hello = (verb: "EHLO" | "HELO") => {
    const more = verb === "EHLO" ? extensions.filter((name) => name !== "STARTTLS" || !secured) : [];
    return [...more.map((name) => `250-${name}`), "250 HELP"].join("\r\n");
  };
  try {
    await say("220 mx.test", "greeting");
    for (;;) {
      const command = await line();
      const verb = command.split(" ", 1)[0]!.toUpperCase();
      if (verb === "EHLO" || verb === "LHLO") {
        if (at === "HELO") await say("500 What?");
        else await say(`250-mx.test\r\n${hello("EHLO")}`, secured ? "EHLO again" : "EHLO");
        if (at === "reading") throw new Still();
      } else if (verb === "HELO") await say("250 mx.test", "HELO");
      else if (verb === "STARTTLS") {
        await say("220 Go", "STARTTLS");
        if (at === "handshake") throw new Still();
        reader.releaseLock();
        writer.releaseLock();
        socket = socket.startTls();
        reader = socket.readable.getReader();
        writer = socket.writable.getWriter();
        await socket.opened;
        secured = true;
      } else if (verb === "AUTH") {
        await say("334 VXNlcm5hbWU6", "AUTH");
        await line();
        await say("334 UGFzc3dvcmQ6", "password");
        await line();
        await say("235 In");
      } else if (verb === "MAIL") {
        recipients = 0;
        if (at === "half a reply") await writer.write(new TextEncoder().encode("250 O"));
        await say("250 MAIL", at === "half a reply" ? at : "MAIL");
      } else if (verb === "RCPT") {
        recipients++;
        await say("250 RCPT", "RCPT");
      } else if (verb === "DATA") {
        await say("354 Go", "DATA");
        if (at === "354") throw new Still();
        for (data = true; data;) data = await line() !== ".";
        await answer();
      } else if (verb === "BDAT") {
        const [, size, last] = command.split(" ");
        await take(Number(size));
        if (last === undefined) await say("250 BDAT", "BDAT");
        else await answer();
      } else if (verb === "RSET") await say("250 RSET", "RSET");
      else if (verb === "QUIT") await say("221 Bye", "QUIT");
      else await say("250 Ok", verb as Standstill);
    }
  } catch {
    // It stands still and neither reads nor closes, or the client is gone.
  }

  async function answer(): Promise<void> {
    await say("250 Taken", "content");
    if (protocol !== "lmtp") return;
    for (let more = 1; more < recipients; more++) await say("250 Taken", "second");
  }
}
