/**
 * REQUIRETLS and logins go by what the connection really has, in whatever order the options have come.
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { SmtpClient } from "../../src/client/client.ts";
import type { SmtpClientOptions } from "../../src/client/options.ts";
import { connect } from "../../src/sockets/connect.ts";
import type { SocketAddress, TlsOptions } from "../../src/sockets/socket.ts";
import { certificates } from "../sockets/conformance.ts";
import { fingerprintOf } from "../support/fingerprint.ts";
import { runtime, test } from "../support/harness.ts";
import { Listener, type Peer } from "../support/peer.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const FROM = "me@client.test";

/** Serves one session, and returns the commands. Under TLS it offers REQUIRETLS, PLAIN and CRAM-MD5. */
async function play(listener: Listener, transport: "on" | "starttls"): Promise<string[]> {
  const { good } = await certificates();
  const commands: string[] = [];
  let peer: Peer = await listener.accept();
  let secure = transport === "on";
  if (secure) peer = await peer.startTls(good);
  await peer.write("220 mx.test\r\n");
  let text = "";
  for (let bytes; (bytes = await peer.read().catch(() => null)) !== null;) {
    text += new TextDecoder().decode(bytes);
    for (let end; (end = text.indexOf("\r\n")) >= 0;) {
      const command = text.slice(0, end);
      text = text.slice(end + 2);
      commands.push(command);
      if (command.startsWith("EHLO")) {
        const extensions = secure ? ["REQUIRETLS", "AUTH PLAIN CRAM-MD5"] : ["STARTTLS"];
        await peer.write(
          ["mx.test", ...extensions].map((line, i, { length }) =>
            `250${i === length - 1 ? " " : "-"}${line}\r\n`
          ).join(""),
        );
      } else if (command === "STARTTLS") {
        await peer.write("220 go\r\n");
        try {
          peer = await peer.startTls(good);
        } catch {
          return commands;
        }
        secure = true;
      } else if (command.startsWith("AUTH")) await peer.write("421 4.3.0 Enough\r\n");
      else await peer.write("250 ok\r\n");
    }
  }
  return commands;
}

/** Fails unless both REQUIRETLS and the login go by this. */
async function assertProtection(
  client: SmtpClient,
  serving: Promise<string[]>,
  protection: "verified" | "unverified",
): Promise<void> {
  const isVerified = protection === "verified";
  assertEquals(client.secure, true);
  const send = () =>
    client.send({ from: FROM, to: "you@server.test", requireTls: true }, "Subject: Hi\r\n\r\nHi");
  const mail = () => client.mail(FROM, { requireTls: true });
  if (!isVerified) {
    await rejectsWith("extension-missing", send);
    await rejectsWith("extension-missing", mail);
  } else {
    await mail();
    await client.reset();
  }
  await assertRejects(() => client.authenticate({ user: "ada", pass: "pencil" }));
  await client.close();
  const commands = await serving;
  assertEquals(commands.filter((line) => line.includes("REQUIRETLS")).length, isVerified ? 1 : 0);
  const login = commands.find((line) => line.startsWith("AUTH"));
  assertEquals(login?.split(" ")[1], isVerified ? "PLAIN" : "CRAM-MD5");
}

/** How the client is opened, what `startTls()` is told, what the session has then. */
type Order = [
  what: string,
  open: TlsOptions,
  startTls: TlsOptions | undefined,
  is: "verified" | "unverified",
];

async function orders(): Promise<Order[]> {
  const { authority, good, client } = await certificates();
  const trust = { caCerts: authority.cert };
  const pin = { fingerprints: await fingerprintOf(good) };
  const off = { verify: false };
  return [
    ["nothing", trust, undefined, "verified"],
    ["authorities late", {}, trust, "verified"],
    ["fingerprints", pin, undefined, "verified"],
    ["fingerprints late", {}, pin, "verified"],
    ["fingerprints, then another option", pin, { peerCertificate: true }, "verified"],
    ["verify: false", off, undefined, "unverified"],
    ["verify: false late", trust, off, "unverified"],
    ["verify: false twice", off, off, "unverified"],
    ["verify: false, then nothing", off, {}, "unverified"],
    ["verify: false, then peerCertificate", off, { peerCertificate: true }, "unverified"],
    ["verify: false, then peerCertificate: false", off, { peerCertificate: false }, "unverified"],
    ["verify: false, then serverName", off, { serverName: "other.test" }, "unverified"],
    ["verify: false, then caCerts", off, trust, "unverified"],
    ["verify: false, then a client certificate", off, { cert: client.cert, key: client.key }, "unverified"],
    ["verify: false, then alpnProtocols", off, { alpnProtocols: ["smtp"] }, "unverified"],
    ["verify: false, then no fingerprints", off, { fingerprints: [] }, "unverified"],
    ["verify: false, then verify: true", { ...trust, ...off }, { verify: true }, "verified"],
    // It replaces what was there, as everywhere: the default applies, and the certificate is checked.
    [
      "verify: false, then verify: undefined",
      { ...trust, ...off },
      { verify: undefined } as never,
      "verified",
    ],
    ["verify: false, then verify: true with fingerprints", off, { verify: true, ...pin }, "verified"],
    ["peerCertificate, then verify: false", { ...trust, peerCertificate: true }, off, "unverified"],
  ];
}

for (const [index, [what]] of (await orders()).entries()) {
  test(`SmtpClient on ${runtime} goes by what TLS has checked after ${what}`, async () => {
    const [, open, later, is] = (await orders())[index]!;
    await using listener = await Listener.tcp();
    const serving = play(listener, "starttls");
    const options = { ...listener.address, security: "starttls" as const, tls: open };
    // connect() says STARTTLS itself if there is nothing more to tell.
    const client = await (later === undefined ? SmtpClient.connect(options) : SmtpClient.open(options));
    if (later !== undefined) {
      await client.ehlo();
      await client.startTls(later);
    }
    await assertProtection(client, serving, is);
  });
}

test(`SmtpClient on ${runtime} sends no STARTTLS where options of TLS contradict each other or are not valid`, async () => {
  const { good } = await certificates();
  const pin = { fingerprints: await fingerprintOf(good) };
  const contradictions: [TlsOptions, TlsOptions][] = [
    [pin, { verify: false }],
    [{ verify: false }, pin],
    [pin, { caCerts: good.cert }],
    [{}, { serverName: "." }],
    [{}, { serverName: "mx.test.." }],
    [{}, { caCerts: "garbage" }],
    [{}, { cert: good.cert }],
  ];
  for (const [open, later] of contradictions) {
    await using listener = await Listener.tcp();
    const serving = play(listener, "starttls");
    const client = await SmtpClient.open({ ...listener.address, security: "starttls", tls: open });
    await client.ehlo();
    await assertRejects(() => client.startTls(later), TypeError);
    await client.noop(); // the session goes on
    await client.close();
    assertEquals((await serving).includes("STARTTLS"), false);
  }
});

/** Sockets of the caller's, which know what they have checked. */
const sockets: [
  what: string,
  transport: "on" | "starttls",
  socket: (address: SocketAddress, trust: TlsOptions) => SmtpClientOptions["socket"],
  is: "verified" | "unverified",
][] = [];
for (const transport of ["on", "starttls"] as const) {
  const make = (tls: TlsOptions) => (address: SocketAddress) =>
    connect(address, { secureTransport: transport, tls });
  const off = { verify: false };
  sockets.push(
    ["one that checks nothing", transport, make(off), "unverified"],
    ["one that checks", transport, (address, trust) => make(trust)(address), "verified"],
    ["a function that opens one that checks nothing", transport, () => make(off), "unverified"],
    ["a function that opens one that checks", transport, (_, trust) => make(trust), "verified"],
  );
}
const pairOf = ({ readable, writable, opened }: ReturnType<typeof connect>) => ({
  readable,
  writable,
  opened,
});
sockets.push(
  [
    "a pair over TLS that says that nothing was checked",
    "on",
    (address) => ({
      ...pairOf(connect(address, { secureTransport: "on", tls: { verify: false } })),
      secureTransport: "on",
    }),
    "unverified",
  ],
);

for (const [what, transport, make, is] of sockets) {
  test(`SmtpClient on ${runtime} goes by what a socket of the caller's has checked, with "${transport}": ${what}`, async () => {
    const { authority } = await certificates();
    await using listener = await Listener.tcp();
    const serving = play(listener, transport);
    const client = await SmtpClient.connect({
      ...listener.address,
      socket: make(listener.address, { caCerts: authority.cert })!,
      security: transport === "on" ? "tls" : "starttls",
    });
    await assertProtection(client, serving, is);
  });
}

test(`SmtpClient on ${runtime} does not take what a proxy's TLS has checked for the server's`, async () => {
  await using listener = await Listener.tcp();
  const serving = play(listener, "starttls");
  const { readable, writable, opened } = connect(listener.address);
  const proxy = opened.then((info) => ({
    ...info,
    alpn: "proxy",
    tls: { verifiedBy: "name", protocol: "TLSv9" },
  }));
  const client = await SmtpClient.open({
    hostname: "127.0.0.1",
    socket: { readable, writable, opened: proxy },
    security: "starttls",
    tls: { verify: false },
  });
  assertEquals([client.info.tls, client.info.alpn], [undefined, undefined]);
  await client.ehlo();
  await client.startTls();
  assertEquals(client.info.tls?.verifiedBy, "nothing");
  await assertProtection(client, serving, "unverified");
});
