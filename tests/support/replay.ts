/**
 * A server that replays one conversation: it says its lines when the client has said its own, to the byte.
 * @module
 */
import { memorySocketPair } from "../../src/sockets/memory.ts";
import type { Socket } from "../../src/sockets/socket.ts";

/** How the server's bytes arrive. */
export type Pieces = "whole" | "lines" | "bytes";

/** All of them, for tests that run a conversation in each. */
export const ALL_PIECES: readonly Pieces[] = ["whole", "lines", "bytes"];

/** A conversation that is being replayed. */
export interface Replay {
  /** What the client connects through. */
  socket: Socket;
  /** Resolves when the server has heard the last line that it waits for. */
  heard: Promise<void>;
  /** Resolves when the whole conversation has taken place and the client has closed; rejects if it went differently. */
  done: Promise<void>;
}

type Step =
  | { kind: "client"; text: string }
  | { kind: "server"; text: string }
  | { kind: "close" | "reset" | "tls" };

/**
 * Replays a transcript. Lines begin with `C: ` or `S: `; client lines that stand together are expected without a reply in
 * between. `S~ ` is a line that breaks off. `S! close` and `S! reset` end the connection, `S! tls` goes over to TLS.
 *
 * @param transcript The conversation, one line a line; leading white space is ignored.
 * @param pieces How the server's bytes arrive.
 */
export function replay(transcript: string, pieces: Pieces = "whole"): Replay {
  const [client, server] = memorySocketPair({ secureTransport: "starttls" });
  const heard = Promise.withResolvers<void>();
  const done = play(server, parse(transcript), pieces, heard.resolve);
  done.catch(() => {}); // the test awaits it, perhaps after the client has failed first
  return { socket: client, heard: heard.promise, done };
}

function parse(transcript: string): Step[] {
  const steps: Step[] = [];
  for (const raw of transcript.split("\n")) {
    const line = raw.trimStart();
    if (line === "") continue;
    const kind = line.startsWith("C:") ? "client" : /^S[:~]/.test(line) ? "server" : undefined;
    if (kind === undefined) {
      const word = line.replace("S! ", "");
      if (word !== "close" && word !== "reset" && word !== "tls") {
        throw new Error(`Not a line of a transcript: ${raw}`);
      }
      steps.push({ kind: word });
      continue;
    }
    const text = line.slice(3) + (line[1] === "~" ? "" : "\r\n"); // an empty line may lack the space after its colon
    const last = steps.at(-1);
    if (last?.kind === kind) last.text += text;
    else steps.push({ kind, text });
  }
  return steps;
}

async function play(first: Socket, steps: Step[], pieces: Pieces, onHeard: () => void): Promise<void> {
  let socket = first;
  let reader = socket.readable.getReader();
  let writer = socket.writable.getWriter();
  let heard = "";
  const decoder = new TextDecoder();
  try {
    for (const step of steps) {
      switch (step.kind) {
        case "client": {
          while (heard.length < step.text.length) {
            const { value, done } = await reader.read();
            if (done) throw differ(step.text, heard + "(end of the connection)");
            heard += decoder.decode(value, { stream: true });
            if (
              !heard.startsWith(step.text.slice(0, heard.length)) &&
              !step.text.startsWith(heard.slice(0, step.text.length))
            ) {
              throw differ(step.text, heard);
            }
          }
          if (!heard.startsWith(step.text)) throw differ(step.text, heard);
          heard = heard.slice(step.text.length);
          if (step === steps.findLast(({ kind }) => kind === "client")) onHeard();
          break;
        }
        case "server":
          for (const piece of cut(step.text, pieces)) await writer.write(new TextEncoder().encode(piece));
          break;
        case "tls":
          reader.releaseLock();
          writer.releaseLock();
          socket = socket.startTls();
          reader = socket.readable.getReader();
          writer = socket.writable.getWriter();
          await socket.opened;
          break;
        case "close":
          await socket.close();
          return;
        case "reset":
          await socket.close(new Error("reset")).catch(() => {});
          return;
      }
    }
    const { value, done } = await reader.read();
    const more = heard + (done ? "" : decoder.decode(value));
    if (more !== "") throw differ("(end of the connection)", more);
    await socket.close();
  } catch (error) {
    await socket.close(error).catch(() => {});
    throw error;
  }
}

function cut(text: string, pieces: Pieces): string[] {
  if (pieces === "whole") return [text];
  if (pieces === "bytes") return [...text];
  return text.split(/(?<=\r\n)/);
}

function differ(expected: string, heard: string): Error {
  return new Error(
    `Commands did not match\n  expected: ${JSON.stringify(expected)}\n  heard:    ${JSON.stringify(heard)}`,
  );
}
