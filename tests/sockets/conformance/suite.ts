/**
 * The parts of the conformance suite: the adapter under test, the world that it is tested in, and the kinds of tests. It
 * knows no runtime, so that it also runs where there are no servers: in workerd, with its peers elsewhere.
 * @module
 */
import { assert, assertThrows } from "@std/assert";
import type {
  SecureTransport,
  Socket,
  SocketAddress,
  SocketErrorCode,
  SocketOptions,
  TlsOptions,
} from "../../../src/sockets/socket.ts";
import type { Authority, KeyPair } from "../../support/certificates.ts";
import { assertNeverOpens, assertNeverSecure } from "./assertions.ts";

/** What a platform may not be able to do. */
export type Refusable =
  | "path"
  | "tls.caCerts"
  | "tls.fingerprints"
  | "tls.cert"
  | "tls.alpnProtocols"
  | "tls.serverName"
  | "tls.verify";

/** An adapter under test. */
export interface Adapter {
  /** What the names of its tests begin with. */
  name: string;
  /** Whether a connection that is given up during the handshake stays open until its peer says something. */
  lingersInHandshake?: boolean;
  /**
   * Whether it reaches the peer through a bridge: it then knows neither the addresses nor why a connection fails, and has no
   * TLS of its own.
   */
  bridged?: boolean;
  /** Whether the platform has TLS from the first byte that is not its startTls(): then both are tested in full. */
  separateTls?: boolean;
  /** Whether its streams are those of another adapter under test: large amounts of data are then left to that one. */
  sharesStreams?: boolean;
  /** Whether it has no unix sockets of its own. */
  tcpOnly?: boolean;
  /** Whether it cannot make the peer wait. */
  readsAhead?: boolean;
  /** Whether TLS ends this side when the peer has ended its side. */
  tlsEndsBoth?: boolean;
  /** The code for a certificate that has expired. Default: `"certificate-expired"`. */
  expired?: SocketErrorCode;
  /**
   * What it must refuse because the platform cannot do it. With `"tls.caCerts"` the platform has to learn in another way to
   * trust the suite's authority.
   */
  refuses?: readonly Refusable[];
  /** The one code for every failure while connecting, or in the handshake, if the platform does not tell them apart. */
  indistinct?: { connecting?: SocketErrorCode; on?: SocketErrorCode; starttls?: SocketErrorCode };
  /** Whether it reports only the peer's address, as it was asked for. */
  hidesAddresses?: boolean;
  /** Whether `opened` does not wait for the handshake after `startTls()`: then the first read does. */
  opensBeforeHandshake?: boolean;
  /** Whether the platform's streams drop all writes but the one under way when their writer is released: they fail. */
  losesReleasedWrites?: boolean;
  /** Whether a read takes a connection that is cut for one that ends. */
  takesCutForEnd?: boolean;
  /** Opens a socket. */
  connect(address: SocketAddress, options?: SocketOptions): Socket;
}

/** The part of `support/peer.ts`'s `Peer` that the suite uses. */
export interface TestPeer {
  /** What the server's own socket knows. */
  readonly raw: { readonly remotePort?: number | undefined; readonly servername?: unknown };
  read(): Promise<Uint8Array | null>;
  readText(length: number): Promise<string>;
  drain(): Promise<void>;
  write(data: string | Uint8Array): Promise<void>;
  end(): Promise<void>;
  reset(): void;
  startTls(options: KeyPair & { clientCa?: string; alpnProtocols?: string[] }): Promise<TestPeer>;
}

/** The part of `support/peer.ts`'s `Listener` that the suite uses. */
export interface TestListener extends AsyncDisposable {
  readonly address: { hostname: string; port: number } | { path: string };
  accept(): Promise<TestPeer>;
}

/** The certificates of the suite. */
export interface Certificates {
  /** The authority that signed them. */
  authority: Pick<Authority, "cert">;
  good: KeyPair;
  expired: KeyPair;
  otherName: KeyPair;
  /** From an authority that nobody trusts. */
  stranger: KeyPair;
  /** Signed by the server itself, with CA:TRUE. */
  own: KeyPair;
  /** The same, without names but the common name. */
  nameless: KeyPair;
  client: KeyPair;
}

/** Where the suite runs. */
export interface World {
  /** Declares a test. */
  test(name: string, body: () => Promise<void>): void;
  certificates(): Promise<Certificates>;
  /** Listens on a port of the system's choice. Default: on 127.0.0.1. */
  listen(hostname?: string): Promise<TestListener>;
  /** Listens on a unix socket. */
  listenUnix(): Promise<TestListener>;
}

type ConnectedBody = (socket: Socket, peer: TestPeer) => Promise<void>;

/** The kinds of tests there are, for one adapter in one world. */
export interface Suite extends Omit<World, "test"> {
  readonly adapter: Adapter;
  connect(address: SocketAddress, options?: SocketOptions): Socket;
  /** A test. */
  test(what: string, body: () => Promise<void>): void;
  /** A test of something that a bridge hides from the adapter. */
  testDirect(what: string, body: () => Promise<void>): void;
  /** A test of what a platform may not be able to do. If it cannot, it must refuse these options. */
  testUnlessRefused(
    what: string,
    option: Refusable,
    asked: SocketOptions | { path: string },
    body: () => Promise<void>,
  ): void;
  /** A test with a connection: the open socket and its peer. */
  testConnected(what: string, body: ConnectedBody, options?: SocketOptions): void;
  /** The same in the clear, over TLS from the first byte, and over TLS after STARTTLS. */
  testAllTransports(what: string, body: ConnectedBody, options?: SocketOptions): void;
  /**
   * The same in the clear, and over TLS after STARTTLS. Every adapter but the one of Workers does TLS from the first byte by
   * `startTls()` on a connection that it has just opened: to run everything over both would find nothing new.
   */
  testClearAndTls(what: string, body: ConnectedBody, options?: SocketOptions): void;
  /** How to trust the suite's authority. */
  trust(certificates: Certificates): TlsOptions;
  /** The socket never opens. The stage is what fails: connecting, or the handshake of `"on"` or `"starttls"`. */
  assertFailed(
    socket: Socket,
    code: SocketErrorCode,
    stage: "connecting" | Exclude<SecureTransport, "off">,
  ): Promise<void>;
  /** The same if the caller gave up, which every adapter knows. */
  assertGivenUp(socket: Socket, code: SocketErrorCode, transport: SecureTransport): Promise<void>;
}

/** Makes the kinds of tests. */
export function createSuite(adapter: Adapter, world: World): Suite {
  const { name, bridged = false, refuses = [], indistinct = {}, opensBeforeHandshake = false } = adapter;
  const connect = (address: SocketAddress, options?: SocketOptions) => adapter.connect(address, options);
  const test = (what: string, body: () => Promise<void>) => world.test(`${name}: ${what}`, body);
  const testDirect: typeof test = bridged ? () => {} : test;
  const trust = ({ authority }: Certificates): TlsOptions =>
    refuses.includes("tls.caCerts") ? {} : { caCerts: [authority.cert] };

  const testUnlessRefused: Suite["testUnlessRefused"] = (what, option, asked, body) => {
    if (!refuses.includes(option)) return testDirect(what, body);
    test(`"${option}" is refused: ${what}`, () => {
      const nobody = { hostname: "localhost", port: 1 };
      const open = () => "path" in asked ? connect(asked) : connect(nobody, asked as SocketOptions);
      assertThrows(open, TypeError, `cannot honour ${option}:`);
      return Promise.resolve();
    });
  };

  const testConnected: Suite["testConnected"] = (what, body, options) => {
    if (bridged && options?.secureTransport !== undefined) return;
    test(what, async () => {
      await using listener = await world.listen();
      const socket = connect(listener.address, options);
      const peer = await listener.accept();
      await socket.opened;
      await body(socket, peer);
      await socket.close().catch(() => {});
    });
  };

  const testOverTls: Suite["testConnected"] = (what, body, options) => {
    testDirect(`${what}, over TLS`, async () => {
      const all = await world.certificates();
      await using listener = await world.listen();
      const socket = connect(listener.address, { ...options, secureTransport: "on", tls: trust(all) });
      const [peer] = await Promise.all([secureNext(listener, all.good), socket.opened]);
      await body(socket, peer);
      await socket.close().catch(() => {});
    });
  };

  const testAfterStartTls: Suite["testConnected"] = (what, body, options) => {
    testDirect(`${what}, after STARTTLS`, async () => {
      const all = await world.certificates();
      await using listener = await world.listen();
      const plain = connect(listener.address, { ...options, secureTransport: "starttls" });
      const peer = await listener.accept();
      const socket = plain.startTls(trust(all));
      const [secure] = await Promise.all([peer.startTls(all.good), socket.opened]);
      await body(socket, secure);
      await socket.close().catch(() => {});
    });
  };

  const testAllTransports: Suite["testAllTransports"] = (what, body, options) => {
    testConnected(`${what}, in the clear`, body, options);
    testOverTls(what, body, options);
    testAfterStartTls(what, body, options);
  };

  const testClearAndTls: Suite["testClearAndTls"] = (what, body, options) => {
    if (adapter.separateTls) return testAllTransports(what, body, options);
    testConnected(`${what}, in the clear`, body, options);
    testAfterStartTls(what, body, options);
  };

  const assertGivenUp: Suite["assertGivenUp"] = async (socket, code, transport) => {
    const assertFailure = opensBeforeHandshake && transport === "starttls"
      ? assertNeverSecure
      : assertNeverOpens;
    await assertFailure(socket, code);
  };

  return {
    adapter,
    connect,
    certificates: () => world.certificates(),
    listen: (hostname) => world.listen(hostname),
    listenUnix: () => world.listenUnix(),
    test,
    testDirect,
    testUnlessRefused,
    testConnected,
    testAllTransports,
    testClearAndTls,
    trust,
    assertGivenUp,
    async assertFailed(socket, code, stage) {
      const transport = stage === "connecting" ? "on" : stage;
      await assertGivenUp(socket, indistinct[stage] ?? code, transport);
    },
  };
}

/** Accepts a connection and does the handshake. */
export async function secureNext(listener: TestListener, keys: KeyPair): Promise<TestPeer> {
  return await (await listener.accept()).startTls(keys);
}

/** The host and the port of a listener that has them. */
export function tcpAddress({ address }: TestListener): { hostname: string; port: number } {
  assert("port" in address);
  return address;
}
