/**
 * A mail server in memory that a test tells what to do, for pools: it counts its connections and logins, and its answers can be
 * changed at any time.
 * @module
 */
import { memorySocketPair } from "../../src/sockets/memory.ts";
import { SocketError } from "../../src/sockets/socket.ts";
import type { Socket, SocketErrorCode } from "../../src/sockets/socket.ts";
import type { OpenSocket } from "../../src/sockets/to_socket.ts";

/** A mail that the server has taken. */
export interface TakenMail {
  from: string;
  to: string[];
  content: string;
  /** The number of the connection, from 0. */
  connection: number;
  /** When, by `performance.now()`. */
  at: number;
}

/** What the server says to a command; or it does as it is told, and then closes, or cuts the connection, or says nothing. */
export type Answer = string | "close" | "cut" | "silence" | undefined;

/** One server. */
export class FakeServer {
  /** Its extensions. */
  extensions: string[] = ["PIPELINING", "CHUNKING"];
  /** Why no connection can be opened. */
  unreachable: SocketErrorCode | undefined;
  /** Connections stay pending for ever. */
  swallows = false;
  greeting = "220 mx.test";
  /** What it answers otherwise than usual. The dot of DATA is `"."`, and a content by BDAT comes before its answer. */
  answer: (line: string, connection: FakeConnection) => Answer = () => undefined;
  readonly connections: FakeConnection[] = [];
  readonly taken: TakenMail[] = [];
  /** How many connections were asked for, those that were refused included. */
  asked = 0;
  /** The most connections that were open at the same time. */
  most = 0;

  /** The connections that are open. */
  get open(): FakeConnection[] {
    return this.connections.filter(({ isOpen }) => isOpen);
  }

  /** Opens a connection. */
  connect(signal: AbortSignal): Promise<Socket> {
    this.asked++;
    if (this.unreachable !== undefined) throw new SocketError(this.unreachable, "Cannot connect");
    if (this.swallows) {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    const [ours, theirs] = memorySocketPair();
    this.connections.push(new FakeConnection(this, theirs, this.connections.length));
    this.most = Math.max(this.most, this.open.length);
    return Promise.resolve(ours);
  }
}

/** Servers by the names of their hosts, for the option `socket`. */
export function network(servers: Record<string, FakeServer>): OpenSocket {
  return (address, { signal }) => servers[(address as { hostname: string }).hostname]!.connect(signal);
}

/** One connection. */
export class FakeConnection {
  readonly number: number;
  /** All commands that have come. */
  readonly lines: string[] = [];
  isOpen = true;
  readonly #server: FakeServer;
  readonly #socket: Socket;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #input = "";
  #mail: { from: string; to: string[]; content: string } | undefined;
  #isData = false;

  constructor(server: FakeServer, socket: Socket, number: number) {
    this.#server = server;
    this.#socket = socket;
    this.number = number;
    this.#writer = socket.writable.getWriter();
    for (const promise of [socket.closed, this.#writer.closed]) promise.catch(() => {});
    void this.#run().catch(() => {}).then(() => this.isOpen = false);
  }

  /** Says something. */
  say(reply: string): void {
    this.#writer.write(new TextEncoder().encode(`${reply}\r\n`)).catch(() => {});
  }

  /** Ends the connection in good order. */
  close(): void {
    this.isOpen = false;
    this.#writer.close().catch(() => {});
  }

  /** Cuts the connection. */
  cut(): void {
    this.isOpen = false;
    this.#socket.close(new Error("cut")).catch(() => {});
  }

  async #run(): Promise<void> {
    this.say(this.#server.greeting);
    if (this.#server.greeting.startsWith("421")) return this.close();
    for (const reader = this.#socket.readable.getReader();;) {
      const { value, done } = await reader.read();
      if (done) return this.close();
      this.#input += new TextDecoder("latin1").decode(value);
      while (this.isOpen && this.#step());
    }
  }

  #step(): boolean {
    if (this.#isData) {
      const end = this.#input.indexOf("\r\n.\r\n");
      if (end < 0) return false;
      this.#mail!.content = this.#input.slice(0, end);
      this.#input = this.#input.slice(end + 5);
      this.#isData = false;
      this.#do(".");
      return true;
    }
    const end = this.#input.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.#input.slice(0, end);
    let length = end + 2;
    if (line.startsWith("BDAT ")) {
      const size = Number(line.split(" ")[1]);
      if (this.#input.length < length + size) return false;
      if (this.#mail !== undefined) this.#mail.content += this.#input.slice(length, length + size);
      length += size;
    }
    this.#input = this.#input.slice(length);
    this.#do(line);
    return true;
  }

  #do(line: string): void {
    this.lines.push(line);
    const given = this.#server.answer(line, this);
    const usual = this.#usual(line, given);
    if (given === "close") return this.close();
    if (given === "cut") return this.cut();
    if (given === "silence") return;
    this.say(given ?? usual);
    if ((given ?? usual).startsWith("421") || line === "QUIT") this.close();
  }

  #usual(line: string, given: Answer): string {
    const verb = line.split(" ")[0]!;
    const isFine = given === undefined || !/^[45]/.test(given);
    switch (verb) {
      case "EHLO":
        return ["mx.test", ...this.#server.extensions].map((text, index, all) =>
          `250${index === all.length - 1 ? " " : "-"}${text}`
        ).join("\r\n");
      case "AUTH":
        return "235 Welcome";
      case "MAIL":
        if (isFine) this.#mail = { from: between(line), to: [], content: "" };
        return "250 Ok";
      case "RCPT":
        if (isFine) this.#mail?.to.push(between(line));
        return "250 Ok";
      case "DATA":
        this.#isData = isFine && this.#mail !== undefined && this.#mail.to.length > 0;
        return this.#isData ? "354 Go" : "554 No valid recipients";
      case "RSET":
        this.#mail = undefined;
        return "250 Ok";
      case "BDAT":
      case ".": {
        const mail = this.#mail;
        if (mail === undefined || mail.to.length === 0) return "554 No valid recipients";
        if (verb === "BDAT" && !line.endsWith(" LAST")) return "250 Ok";
        this.#mail = undefined;
        if (isFine) this.#server.taken.push({ ...mail, connection: this.number, at: performance.now() });
        return "250 Ok";
      }
      case "QUIT":
        return "221 Bye";
      default:
        return "250 Ok";
    }
  }
}

function between(line: string): string {
  return line.slice(line.indexOf("<") + 1, line.indexOf(">"));
}
