/**
 * Ports on loopback, for servers that need to be given one.
 * @module
 */
import { connect, createServer, type Server } from "node:net";

/** Below the range from which Linux picks a port for port 0 (32768 and up), so no other test gets one by chance. */
const FIRST = 20_000;
const COUNT = 12_000;

/** Finds ports that nobody listens on. Something else may take one before it is used, which is unlikely. */
export async function findPorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = await listen(FIRST + Math.floor(Math.random() * COUNT));
    if (server !== undefined) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Listens at a port; `undefined` if another program does. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** Whether connections are accepted at a port on loopback, or at the path of a unix socket. */
export function accepts(address: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof address === "number" ? connect(address, "127.0.0.1") : connect(address);
    let connected = false;
    socket.once("connect", () => {
      connected = true;
      socket.destroy();
    });
    socket.once("error", () => {});
    socket.once("close", () => resolve(connected));
  });
}
