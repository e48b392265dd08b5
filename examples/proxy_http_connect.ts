/**
 * Sends a message through an HTTP proxy with CONNECT (RFC 9110, section 9.3.6), and logs in to the proxy if its URL has a name
 * and a password (Basic, RFC 7617). Copy it together with proxy_dialogue.ts.
 *
 *     deno run --allow-net --allow-env examples/proxy_http_connect.ts http://USER:PASS@PROXY:8080 HOST PORT FROM TO
 *
 * SMTP_USER and SMTP_PASSWORD in the environment log in; SMTP_CA is a certificate authority to trust, PEM.
 */
import process from "node:process";
import { sendMail } from "@streams/smtp";
import type { OpenSocket } from "@streams/smtp";
import { ProxyDialogue } from "./proxy_dialogue.ts";

/** Opens connections through an HTTP proxy, which resolves the host names. With `https:`, the proxy itself is reached over TLS. */
export function httpConnect(proxy: URL): OpenSocket {
  const user = decodeURIComponent(proxy.username);
  const pass = decodeURIComponent(proxy.password);
  // deno-lint-ignore no-control-regex -- RFC 7617, section 2
  if (/[:\x00-\x1f\x7f]/.test(user) || /[\x00-\x1f\x7f]/.test(pass)) {
    throw new TypeError("Cannot log in to the proxy: the name has a colon, or there is a control character");
  }
  return async (address, { signal }) => {
    if ("path" in address) throw new TypeError("Cannot connect: CONNECT does not reach unix sockets");
    const { hostname, port } = address;
    // Anything else could end the line and add header fields.
    if (!/^[\w.:-]+$/.test(hostname)) {
      throw new TypeError(`Cannot connect: ${JSON.stringify(hostname)} is not a host name`);
    }
    const target = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
    const dialogue = new ProxyDialogue(proxy, proxy.protocol === "https:" ? 443 : 80, signal);
    try {
      const header = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
      if (user !== "") header.push(`Proxy-Authorization: Basic ${base64(`${user}:${pass}`)}`);
      await dialogue.send(new TextEncoder().encode(`${header.join("\r\n")}\r\n\r\n`));
      const [status = ""] = (await dialogue.readHeader()).split("\r\n", 1);
      if (!/^HTTP\/1\.[01] 2\d\d(?: |$)/.test(status)) {
        // A terminal acts on control characters.
        throw new Error(`The proxy does not connect: ${status.replace(/[^\x20-\x7e]/g, "?").slice(0, 200)}`);
      }
      return dialogue.handOver();
    } catch (error) {
      await dialogue.close(error);
      throw error;
    }
  };
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

const [proxy, hostname, port, from, to] = process.argv.slice(2);
if (to === undefined) throw new TypeError("Usage: proxy_http_connect.ts PROXY HOST PORT FROM TO");
const { SMTP_USER: user, SMTP_PASSWORD: pass = "", SMTP_CA: ca } = process.env;
const receipt = await sendMail(
  {
    hostname: hostname!,
    port: Number(port),
    socket: httpConnect(new URL(proxy!)),
    ...(user !== undefined && { auth: { user, pass } }),
    ...(ca !== undefined && { tls: { caCerts: [ca] } }),
  },
  { from: from!, to },
  "Subject: Through a proxy\r\n\r\nHello\r\n",
);
console.log(`accepted ${receipt.accepted}: ${receipt.reply}`);
