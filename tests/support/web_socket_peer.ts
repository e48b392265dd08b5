/**
 * A WebSocket server's end, frame by frame (RFC 6455), for tests: it does nothing by itself, reads no more than it is asked
 * to, and can break the rules. It shares no code with `src/`.
 * @module
 */
import { createHash } from "node:crypto";
import type { Peer } from "./peer.ts";

/** What a message or a control frame is. */
export const OPCODES = Object.freeze({ text: 1, binary: 2, close: 8, ping: 9 });

/** A frame that has arrived. */
export interface Frame {
  opcode: number;
  payload: Uint8Array;
}

/** One WebSocket, accepted. */
export class WebSocketPeer {
  /** The connection below. */
  readonly peer: Peer;
  /** What the client asked for, with its query. */
  readonly path: string;
  /** The subprotocols that the client offers. */
  readonly protocols: string;
  #rest: Uint8Array;
  #closing = false;

  private constructor(peer: Peer, path: string, protocols: string, rest: Uint8Array) {
    this.peer = peer;
    this.path = path;
    this.protocols = protocols;
    this.#rest = rest;
  }

  /** Does the server's side of the handshake. */
  static async accept(peer: Peer): Promise<WebSocketPeer> {
    let head = "";
    while (!head.includes("\r\n\r\n")) {
      const bytes = await peer.read();
      if (bytes === null) throw new Error("The client went away in the handshake");
      head += latin1(bytes);
    }
    const header = (name: string) => head.match(new RegExp(`^${name}: *(.*?)\r$`, "im"))?.[1] ?? "";
    const accept = createHash("sha1")
      .update(`${header("Sec-WebSocket-Key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const protocols = header("Sec-WebSocket-Protocol");
    const protocol = protocols.split(",")[0]!.trim();
    await peer.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
        (protocol === "" ? "\r\n" : `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`),
    );
    const rest = Uint8Array.from(head.split("\r\n\r\n").slice(1).join("\r\n\r\n"), (c) => c.charCodeAt(0));
    return new WebSocketPeer(peer, head.split(" ")[1]!, protocols, rest);
  }

  /** The next frame; `null` when the connection ends. */
  async readFrame(): Promise<Frame | null> {
    const head = await this.#readExactly(2);
    if (head === null) return null;
    let length = head[1]! & 0x7f;
    if (length >= 126) {
      const bytes = (await this.#readExactly(length === 126 ? 2 : 8))!;
      length = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    }
    if ((head[1]! & 0x80) === 0) throw new Error("A client's frame is masked: this one is not");
    const mask = (await this.#readExactly(4))!;
    const payload = await this.#readExactly(length);
    if (payload === null) return null;
    for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i & 3]!;
    return { opcode: head[0]! & 0x0f, payload };
  }

  /** Sends a frame. Resolves when the system has it. */
  writeFrame(opcode: number, payload: Uint8Array, options: { final?: boolean } = {}): Promise<void> {
    const { length } = payload;
    const head = length < 126
      ? [length]
      : length < 65_536
      ? [126, length >> 8, length & 0xff]
      : [127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
    const frame = new Uint8Array(1 + head.length + length);
    frame[0] = opcode | (options.final === false ? 0 : 0x80);
    frame.set(head, 1);
    frame.set(payload, 1 + head.length);
    return this.peer.write(frame);
  }

  /** Sends a close frame. */
  close(code: number, reason = ""): Promise<void> {
    this.#closing = true;
    const payload = new Uint8Array([code >> 8, code & 0xff, ...new TextEncoder().encode(reason)]);
    return this.writeFrame(OPCODES.close, payload);
  }

  /** Reads up to the client's close, answers it unless it is the answer, and ends the connection. Returns the close code. */
  async finish(): Promise<number> {
    for (let frame = await this.readFrame(); frame !== null; frame = await this.readFrame()) {
      if (frame.opcode !== OPCODES.close) continue;
      const code = closeCode(frame);
      if (!this.#closing) await this.close(code).catch(() => {});
      await this.peer.end();
      await this.peer.drain();
      return code;
    }
    return 1006;
  }

  async #readExactly(length: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (this.#rest.length === 0) {
        const part = await this.peer.read();
        if (part === null) return null;
        this.#rest = part;
      }
      const part = this.#rest.subarray(0, length - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return bytes;
  }
}

/** The code in a close frame. */
export function closeCode({ payload }: Frame): number {
  return payload.length < 2 ? 1005 : payload[0]! * 256 + payload[1]!;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
