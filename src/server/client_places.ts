/**
 * The places that a server has for connections, and how many of them each client takes.
 *
 * @module
 */
import { canonicalAddress } from "../sockets/certificate_names.ts";

/** How many connections there may be, and how many of one client. */
export class ClientPlaces {
  readonly #max: number;
  readonly #maxPerClient: number;
  readonly #taken: Map<string, number> = new Map();
  #total = 0;

  /**
   * @param max The most connections.
   * @param maxPerClient The most connections of one client.
   */
  constructor(max: number, maxPerClient: number) {
    this.#max = max;
    this.#maxPerClient = maxPerClient;
  }

  /**
   * Takes a place.
   *
   * @param address The client's IP address; `undefined` for one that has none, which only counts among all.
   * @returns Gives the place back; `undefined` if there is none.
   */
  take(address: string | undefined): (() => void) | undefined {
    const client = address === undefined ? undefined : clientOf(address);
    const taken = client === undefined ? 0 : this.#taken.get(client) ?? 0;
    if (this.#total >= this.#max || taken >= this.#maxPerClient) return undefined;
    this.#total++;
    if (client !== undefined) this.#taken.set(client, taken + 1);
    return () => this.#giveBack(client);
  }

  #giveBack(client: string | undefined): void {
    this.#total--;
    if (client === undefined) return;
    const left = this.#taken.get(client)! - 1;
    if (left === 0) this.#taken.delete(client);
    else this.#taken.set(client, left);
  }
}

/** What counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address, within which a host picks its own. */
function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const whole = canonicalAddress(address);
  if (whole.startsWith("::ffff:")) return whole; // an IPv4 client of a server that listens on both
  const [head, tail] = whole.split("::").map((groups) => groups === "" ? [] : groups.split(":"));
  if (tail === undefined) return head!.slice(0, 4).join(":");
  const zeros = new Array(8 - head!.length - tail.length).fill("0");
  return [...head!, ...zeros, ...tail].slice(0, 4).join(":");
}
