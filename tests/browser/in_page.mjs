/**
 * The functions that the tests run in the page. Each is passed as text: it sees the page, and nothing of this file. (Not
 * TypeScript, because the other tests are checked without the DOM's types.)
 * @module
 */

/** Whether the form can be sent: the servers are listed, and nothing is being sent. */
export function isReady() {
  return document.querySelector("select").options.length > 0 &&
    !document.querySelector("[name=send]").disabled;
}

/** Whether there is an outcome. */
export function isDone() {
  return document.querySelector("#outcome").value !== "" && !document.querySelector("[name=send]").disabled;
}

/** Whether a part of the message was sent. */
export function isUnderWay() {
  return document.querySelector("progress").value > 100_000;
}

/** Fills in the form. */
export function fill(fields) {
  const { elements } = document.querySelector("form");
  for (const [name, value] of Object.entries(fields)) elements[name].value = value;
}

/** Offers a server that the bridge did not list. */
export function offer(name) {
  document.querySelector("select").replaceChildren(new Option(name, name));
}

/** Returns the text of an element. */
export function text(selector) {
  return document.querySelector(selector)?.textContent ?? "";
}

/** Records the progress bar each time that it changes. */
export function watchProgress() {
  const shown = globalThis.shown = [];
  const bar = document.querySelector("progress");
  const observer = new MutationObserver(() => shown.push([bar.value, bar.max]));
  observer.observe(bar, { attributes: true });
}

/** Returns the records of the progress bar. */
export function shown() {
  return globalThis.shown;
}

/** Lets the page work for a moment, and returns the progress. */
export async function look() {
  await new Promise((resolve) => setTimeout(resolve, 10));
  const { value, max } = document.querySelector("progress");
  return { value, max };
}

/** Removes `WebSocketStream` if `WebSocket` is to be used, and watches the class that is used. */
export function spy(kind) {
  const spied = globalThis.spied = { kinds: [], most: 0 };
  if (kind === "WebSocket") delete globalThis.WebSocketStream;
  const Original = globalThis[kind];
  globalThis[kind] = class extends Original {
    constructor(...args) {
      super(...args);
      spied.kinds.push(kind);
    }
    send(data) {
      super.send(data);
      spied.most = Math.max(spied.most, this.bufferedAmount);
    }
  };
}

/** Returns the classes that were used, and the maximum number of bytes that waited to be sent. */
export function spied() {
  return globalThis.spied;
}

/** Opens a WebSocket to a bridge, and returns `"opened"` or the error's code. */
export async function open(url) {
  const { connectWebSocket } = await import(`${location.href}smtp.js`);
  return await connectWebSocket(url).opened.then(() => "opened", (error) => error.code);
}

/** Opens a socket over one kind of WebSocket, and keeps it for the functions below. */
export async function openSocket(kind, url, options) {
  if (kind === "WebSocket") delete globalThis.WebSocketStream;
  const { connectWebSocket } = await import(`${location.href}smtp.js`);
  const controller = globalThis.controller = new AbortController();
  const socket = globalThis.socket = connectWebSocket(url, { ...options, signal: controller.signal });
  globalThis.reader = socket.readable.getReader();
  globalThis.writer = socket.writable.getWriter();
  await socket.opened;
}

/** Reads once, and returns the number of bytes, the end, or the error. */
export async function read() {
  try {
    const { done, value } = await globalThis.reader.read();
    return done ? { done } : { length: value.length };
  } catch ({ name, code, message }) {
    return { name, code, message };
  }
}

/** Reads to the end, and returns the number of bytes. */
export async function readAll() {
  let length = 0;
  for (let part = await read(); !part.done; part = await read()) length += part.value.length;
  return length;

  function read() {
    return globalThis.reader.read();
  }
}

/** Echoes bytes to the end, each chunk in a buffer that is used again, and then ends too. */
export async function echo() {
  const buffer = new Uint8Array(1024 * 1024);
  let length = 0;
  for (let part = await read(); !part.done; part = await read()) {
    buffer.set(part.value);
    await globalThis.writer.write(buffer.subarray(0, part.value.length));
    length += part.value.length;
  }
  await globalThis.writer.close();
  await globalThis.socket.closed;
  return length;

  function read() {
    return globalThis.reader.read();
  }
}

/** Aborts the signal of the socket. */
export function abort() {
  globalThis.controller.abort();
}

/** Writes a byte. */
export async function write() {
  await globalThis.writer.write(new Uint8Array(1));
}
