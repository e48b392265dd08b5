/**
 * A program of its own that opens a socket, waits for bytes and has nothing else to do: see `unref_test.ts`.
 * @module
 */
import process from "node:process";
import { connect } from "../../src/sockets/connect.ts";
import type { Socket, SocketOptions } from "../../src/sockets/socket.ts";
import { toSocket } from "../../src/sockets/to_socket.ts";
import type { UnrefTask } from "./unref_test.ts";

const { address, transport, tls, localAddress, isPair, calls }: UnrefTask = JSON.parse(process.argv[2]!);
const options: SocketOptions = {
  secureTransport: transport,
  ...(transport !== "off" && { tls }),
  ...(localAddress !== undefined && { localAddress }),
};

let socket: Socket = isPair
  ? toSocket((address, { signal }) => connect(address, { signal }), { ...options, address })
  : connect(address, options);
call("opening");
await socket.opened;
call("open");
if (transport === "starttls") {
  socket = socket.startTls();
  call("upgrading");
  await socket.opened;
  call("upgraded");
}
// Nobody waits for it: at the top level a wait that never ends would be an error.
socket.readable.getReader().read().then(async ({ value }) => {
  console.log("got", value?.length);
  socket.unref?.();
  await socket.close();
  console.log("closed");
});
call("reading");
console.log("idle");

function call(when: string): void {
  for (const method of calls[when] ?? []) socket[method]!();
}
