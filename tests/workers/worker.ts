/**
 * The worker under test: it does what the test asks for, and reports the result.
 * @module
 */
import { SmtpClient, type SmtpClientOptions, SmtpPool, type SmtpPoolOptions } from "../../mod.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketAddress, SocketOptions } from "../../src/sockets/socket.ts";

/** What the test asks for. */
export interface Order {
  /** One of the scenarios below. */
  scenario: keyof typeof scenarios;
  address: SocketAddress;
  /** For the sockets. */
  options?: SocketOptions;
  /** For the client. */
  client?: Omit<SmtpClientOptions, "signal" | "trace">;
  /** For the pool. */
  pool?: Omit<SmtpPoolOptions, "signal" | "trace">;
  to?: string[];
  size?: number;
}

/** The result. */
export interface Answer {
  value?: unknown;
  error?: { name: string; code?: string; message: string; isTypeError: boolean; outcome?: string };
}

/** Pools in the scope of the module, by their ports: requests share them. */
const pools = new Map<number, SmtpPool>();

const scenarios = {
  /** The globals of other runtimes, for which the library could mistake this one. */
  globals: () => Promise.resolve(["Deno", "Bun", "process", "Buffer"].filter((name) => name in globalThis)),

  /** Sends a message. */
  async send({ client, to = ["you@server.test"], size }: Order): Promise<unknown> {
    await using session = await SmtpClient.connect(client as SmtpClientOptions);
    const message = size === undefined ? "Subject: Hi\n\n.Hello\n" : pattern(size);
    const receipt = await session.send({ from: "me@client.test", to }, message, {
      missingHeader: "allow", // the pattern has none
    });
    return {
      accepted: receipt.accepted,
      rejected: receipt.rejected.map(({ recipient, reply }) => [recipient, reply?.code]),
      reply: receipt.reply.toString(),
    };
  },

  /** Sends a mail to each recipient, through a pool that the requests share. */
  async pool({ pool: options = {}, to = [], size }: Order): Promise<unknown> {
    let pool = pools.get(options.port!);
    if (pool === undefined) pools.set(options.port!, pool = new SmtpPool(options));
    const mails = to.map((address) => ({
      envelope: { from: "me@client.test", to: address },
      message: "Subject: Hi\r\n\r\nHello\r\n",
    }));
    const results: string[] = [];
    if (size !== undefined) {
      for await (const { receipt, error } of pool.sendAll(mails)) {
        results.push(receipt?.accepted[0] ?? String(error));
      }
      return results.sort();
    }
    for (const sent of mails.map(({ envelope, message }) => pool.send(envelope, message))) {
      results.push((await sent).accepted[0]!);
    }
    await pool.drain();
    return results;
  },

  /** Opens a session, goes over to TLS with these options, and asks for REQUIRETLS: in the order that the caller likes. */
  async protect({ client, options }: Order): Promise<unknown> {
    await using session = await SmtpClient.open(client as SmtpClientOptions);
    await session.ehlo();
    try {
      await session.startTls(options?.tls);
    } catch (error) {
      await session.noop(); // nothing was sent, and the session goes on
      throw error;
    }
    await session.mail("me@client.test", { requireTls: true });
    return session.info.tls;
  },

  /** Opens a socket. */
  async open({ address, options }: Order): Promise<unknown> {
    const socket = connect(address, options);
    const info = await socket.opened;
    await socket.close();
    return info;
  },

  /** Opens a socket in the clear and goes over to TLS. */
  async startTls({ address, options }: Order): Promise<unknown> {
    const plain = connect(address, { secureTransport: "starttls" });
    await plain.opened;
    const socket = plain.startTls(options?.tls);
    const { alpn } = await socket.opened;
    await plain.closed;
    await speakFirst(socket);
    await socket.readable.getReader().read(); // `opened` does not wait for the handshake
    await socket.close();
    return { alpn, upgraded: socket.upgraded, secureTransport: socket.secureTransport };
  },

  /** Sends back what comes, until it ends, each chunk in a buffer that is used again. */
  async echo({ address, options }: Order): Promise<unknown> {
    const socket = await opened(connect(address, options), options);
    const reader = socket.readable.getReader();
    const writer = socket.writable.getWriter();
    const buffer = new Uint8Array(65_536);
    let count = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      buffer.set(part.value);
      await writer.write(buffer.subarray(0, part.value.length));
      count += part.value.length;
    }
    await writer.close();
    await socket.closed;
    return count;
  },

  /** Closes a socket that is on its way. */
  async closeOpening({ address, options }: Order): Promise<unknown> {
    const socket = connect(address, options);
    await socket.close();
    return await socket.opened;
  },

  /** Does TLS with a peer that does not answer, and gives up. */
  async abortHandshake({ address, options }: Order): Promise<unknown> {
    const controller = new AbortController();
    const plain = connect(address, { ...options, signal: controller.signal });
    let socket = plain;
    if (options?.secureTransport === "starttls") {
      await plain.opened;
      socket = plain.startTls();
    }
    setTimeout(() => controller.abort(), 50);
    if (socket === plain) return await socket.opened;
    return await socket.readable.getReader().read(); // `opened` does not wait for the handshake
  },

  /** Closes a socket with a read under way. */
  async closeReading({ address, options }: Order): Promise<unknown> {
    const socket = await opened(connect(address, options), options);
    const reader = socket.readable.getReader();
    await reader.read();
    const read = reader.read();
    await socket.close();
    return (await read).done;
  },

  /** Reads, says so, and reads until it ends. */
  async read({ address, options }: Order): Promise<unknown> {
    const socket = await opened(connect(address, options), options);
    const reader = socket.readable.getReader();
    let count = (await reader.read()).value!.length;
    await socket.writable.getWriter().write(new TextEncoder().encode("!"));
    for (let part = await reader.read(); !part.done; part = await reader.read()) count += part.value.length;
    await socket.closed;
    return count;
  },
};

async function opened(plain: Socket, options: SocketOptions | undefined): Promise<Socket> {
  const socket = options?.secureTransport === "starttls" ? plain.startTls() : plain;
  await socket.opened;
  if (socket !== plain) await speakFirst(socket);
  return socket;
}

/** As a client does after STARTTLS: what a server says before it may be taken for words from before TLS. */
async function speakFirst(socket: Socket): Promise<void> {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode("EHLO\r\n"));
  writer.releaseLock();
}

function pattern(size: number): ReadableStream<Uint8Array> {
  const line = new TextEncoder().encode(`X: ${"x".repeat(73)}\r\n`); // a message has a header
  const chunk = new Uint8Array(line.length * 800);
  for (let i = 0; i < chunk.length; i += line.length) chunk.set(line, i);
  let left = size;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(chunk.slice(0, Math.min(left, chunk.length)));
      left -= chunk.length;
    },
  });
}

/** The worker. */
export default {
  /** Does one order. */
  async fetch(request: Request): Promise<Response> {
    const order = await request.json() as Order;
    let answer: Answer;
    try {
      answer = { value: await scenarios[order.scenario](order) };
    } catch (error) {
      const { name, message, code, outcome } = error as Error & { code?: string; outcome?: string };
      answer = {
        error: {
          name,
          message,
          isTypeError: error instanceof TypeError,
          ...(code !== undefined && { code }),
          ...(outcome !== undefined && { outcome }),
        },
      };
    }
    return Response.json(answer);
  },
};
