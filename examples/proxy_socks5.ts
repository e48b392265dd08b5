/**
 * Sends a message through a SOCKS5 proxy (RFC 1928), and logs in to the proxy if its URL has a name and a password (RFC 1929).
 * Copy it together with proxy_dialogue.ts.
 *
 *     deno run --allow-net --allow-env examples/proxy_socks5.ts socks5://USER:PASS@PROXY:1080 HOST PORT FROM TO
 *
 * SMTP_USER and SMTP_PASSWORD in the environment log in; SMTP_CA is a certificate authority to trust, PEM.
 */
import process from "node:process";
import { sendMail } from "@streams/smtp";
import type { OpenSocket } from "@streams/smtp";
import { ProxyDialogue } from "./proxy_dialogue.ts";

/** The reasons for which a proxy does not connect, by their number (RFC 1928, section 6). */
const REFUSALS = [
  "",
  "general failure",
  "not allowed by its rules",
  "network unreachable",
  "host unreachable",
  "connection refused",
  "TTL expired",
  "command not supported",
  "address type not supported",
];

/** Opens connections through a SOCKS5 proxy, which resolves the host names. */
export function socks5(proxy: URL): OpenSocket {
  const user = encode(decodeURIComponent(proxy.username));
  const pass = encode(decodeURIComponent(proxy.password));
  const login = user.length > 0 ? 2 : 0;
  return async (address, { signal }) => {
    if ("path" in address) throw new TypeError("Cannot connect: SOCKS5 does not reach unix sockets");
    const host = encodeHost(address.hostname);
    const dialogue = new ProxyDialogue(proxy, 1080, signal);
    try {
      // Version 5, and one way to log in: none (0), or a name and a password (2).
      await dialogue.send(Uint8Array.of(5, 1, login));
      const [version, method] = await dialogue.read(2);
      if (version !== 5) throw new Error("The proxy does not speak SOCKS5");
      if (method !== login) throw new Error("The SOCKS5 proxy does not accept this way to log in");
      if (method === 2) {
        await dialogue.send(Uint8Array.of(1, user.length, ...user, pass.length, ...pass));
        const [, status] = await dialogue.read(2);
        if (status !== 0) throw new Error("The SOCKS5 proxy refuses the name and password");
      }

      // CONNECT (1), and the target with its type: not all proxies accept an IP address as a name.
      await dialogue.send(Uint8Array.of(5, 1, 0, ...host, address.port >> 8, address.port & 255));
      const [, reply, , type] = await dialogue.read(4);
      if (reply !== 0) throw new Error(`The SOCKS5 proxy does not connect: ${REFUSALS[reply!] ?? reply}`);
      // Skip the address and port that the proxy connects from.
      const length = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? (await dialogue.read(1))[0]! : undefined;
      if (length === undefined) throw new Error("The SOCKS5 proxy names an address of an unknown kind");
      await dialogue.read(length + 2);
      return dialogue.handOver();
    } catch (error) {
      await dialogue.close(error);
      throw error;
    }
  };
}

function encode(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > 255) {
    throw new RangeError("Cannot connect: SOCKS5 allows 255 bytes for a name or a password");
  }
  return bytes;
}

/** Four numbers up to 255. What else looks like numbers, `127.1` or `0x7f.1`, is a name, and the proxy's to judge. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** The type and the bytes of a host. */
function encodeHost(hostname: string): number[] {
  if (IPV4.test(hostname)) return [1, ...hostname.split(".").map(Number)];
  if (!hostname.includes(":")) {
    if (!/^[\x21-\x7e]+$/.test(hostname)) {
      throw new TypeError(`Cannot connect: ${JSON.stringify(hostname)} is not a host name`);
    }
    const name = encode(hostname);
    return [3, name.length, ...name];
  }
  // The URL parser normalizes an IPv6 address: at most one run of zeros is left out.
  const [head = "", tail] = new URL(`http://[${hostname}]`).hostname.slice(1, -1).split("::");
  const groups = (text = "") => text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return [4, ...[...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 255])];
}

const [proxy, hostname, port, from, to] = process.argv.slice(2);
if (to === undefined) throw new TypeError("Usage: proxy_socks5.ts PROXY HOST PORT FROM TO");
const { SMTP_USER: user, SMTP_PASSWORD: pass = "", SMTP_CA: ca } = process.env;
const receipt = await sendMail(
  {
    hostname: hostname!,
    port: Number(port),
    socket: socks5(new URL(proxy!)),
    ...(user !== undefined && { auth: { user, pass } }),
    ...(ca !== undefined && { tls: { caCerts: [ca] } }),
  },
  { from: from!, to },
  "Subject: Through a proxy\r\n\r\nHello\r\n",
);
console.log(`accepted ${receipt.accepted}: ${receipt.reply}`);
