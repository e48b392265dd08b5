/**
 * A server for programs that send mail as users do.
 * @module
 */
import { Reply } from "../../src/core/reply.ts";
import { serve, type ServeOptions, type SmtpServer } from "../../src/server/mod.ts";
import { createAuthority } from "../support/certificates.ts";

/** The login that it accepts. */
export const LOGIN = { user: "ada", pass: "correct horse" };

/** A mail that has arrived. */
export interface Arrival {
  from: string | null;
  to: readonly string[];
  text: string;
  /** The user that had logged in. */
  user: string | undefined;
  /** Whether it came under TLS. */
  secure: boolean;
}

/** A running server. */
export interface MailServer extends AsyncDisposable {
  port: number;
  /** The certificate authority to trust, PEM. */
  ca: string;
  /** Removes and returns the mail that has arrived so far. */
  take(): Arrival[];
}

/** Starts a server with STARTTLS and a login. It refuses `nobody@server.test`. */
export async function startMailServer(options: ServeOptions = {}): Promise<MailServer> {
  const authority = await createAuthority();
  let arrivals: Arrival[] = [];
  const server: SmtpServer = serve({ tls: await authority.issue(), ...options }, {
    auth: ({ user, pass }) => user === LOGIN.user && pass === LOGIN.pass,
    rcpt: ({ address }) => {
      if (address.startsWith("nobody@")) throw new Reply(550, "No such user", { enhancedCode: "5.1.1" });
    },
    message: async (content, { envelope, user, secure }) => {
      let text = "";
      for await (
        const part of content.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
      ) {
        text += part;
      }
      arrivals.push({ from: envelope.from, to: envelope.to, text, user, secure });
      return new Reply(250, "Ok: queued as PACKED-1", { enhancedCode: "2.0.0" });
    },
  });
  const { port } = await server.listening;
  return {
    port,
    ca: authority.cert,
    take() {
      const taken = arrivals;
      arrivals = [];
      return taken;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
