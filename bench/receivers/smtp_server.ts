/**
 * Receives messages with the npm package smtp-server, and reads each to its end.
 *
 * @module
 */
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { importPeer } from "../senders/import_peer.ts";
import { announce } from "./ready.ts";

interface SmtpServerModule {
  SMTPServer: new (options: Record<string, unknown>) => {
    listen(port: number, host: string, done: () => void): { address(): AddressInfo };
  };
}

const { SMTPServer } = await importPeer<SmtpServerModule>("smtp-server");
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS"],
  disableReverseLookup: true,
  onData(stream: Readable, _session: unknown, done: () => void) {
    stream.on("end", done);
    stream.resume();
  },
});
const listener = server.listen(0, "127.0.0.1", () => announce(listener.address().port));
