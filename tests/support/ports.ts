/**
 * Ports on loopback, for servers that have to be told theirs.
 * @module
 */
import { connect, createServer, type Server } from "node:net";

/** Finds ports that nobody listens on. Somebody else may take one before it is used. */
export async function findPorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      new Promise<Server>((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
      })),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Whether somebody accepts connections at a port on loopback, or at the path of a unix socket. */
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
