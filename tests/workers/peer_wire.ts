/**
 * What a test in workerd and its peers in Node say to each other, over one WebSocket for each test: Workers let I/O belong
 * to one request.
 * @module
 */
import type { Certificates } from "../sockets/conformance/suite.ts";

/** Which test to run: the first message from Node. */
export interface Begin {
  test: string;
  certificates: Certificates;
}

/** A call to a listener, to a peer, or (0) to the host, which makes listeners. */
export interface Call {
  call: number;
  target: number;
  method: string;
  args: unknown[];
}

/** The result of a call. */
export interface Answer {
  call: number;
  /** What the method gave. Bytes are the message's payload. */
  value?: unknown;
  /** Whether it gave bytes. */
  bytes?: boolean;
  error?: string;
}

/** How the test ended: the last message from workerd. */
export interface End {
  end: true;
  /** Why it failed. */
  error?: { message: string; stack: string };
}

/** A listener or a peer, as the other side describes it. */
export interface Handle {
  target: number;
  /** The port of a listener. */
  port?: number;
  /** What a peer's socket tells. */
  raw?: { remotePort?: number | undefined; servername?: unknown };
}

/** One message: its length, its content as JSON, and a payload. */
export function encodeMessage(
  says: Begin | Call | Answer | End,
  payload?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(says));
  const message = new Uint8Array(4 + text.length + (payload?.length ?? 0));
  new DataView(message.buffer).setUint32(0, text.length);
  message.set(text, 4);
  if (payload !== undefined) message.set(payload, 4 + text.length);
  return message;
}

/** Takes a message apart. */
export function decodeMessage(message: ArrayBuffer): { says: unknown; payload: Uint8Array<ArrayBuffer> } {
  const length = new DataView(message).getUint32(0);
  const says = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
  return { says, payload: new Uint8Array(message, 4 + length) };
}
