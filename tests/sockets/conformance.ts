/**
 * What every adapter has to do: one suite, run once for each of them, with servers by `node:net`.
 * @module
 */
import { type Authority, createAuthority, createSelfSigned } from "../support/certificates.ts";
import { test } from "../support/harness.ts";
import { Listener } from "../support/peer.ts";
import { testConformanceIn } from "./conformance/all.ts";
import type { Adapter, Certificates as SuiteCertificates } from "./conformance/suite.ts";

export { assertFails } from "./conformance/assertions.ts";
export type { Adapter } from "./conformance/suite.ts";

/** The certificates of the suite, and the authority that can issue more. */
export interface Certificates extends SuiteCertificates {
  authority: Authority;
}

let made: Promise<Certificates> | undefined;

/** The certificates of the suite, made once. */
export function certificates(): Promise<Certificates> {
  return made ??= make();
}

async function make(): Promise<Certificates> {
  const authority = await createAuthority();
  const [good, expired, otherName, stranger, own, nameless, client] = await Promise.all([
    authority.issue(),
    authority.issue({ expires: -24 * 60 * 60 * 1000 }),
    authority.issue({ names: ["mx.test"] }),
    createAuthority("Nobody's CA").then((nobody) => nobody.issue()),
    createSelfSigned(),
    createSelfSigned([]),
    authority.issue({ names: ["client.test"], usage: "client" }),
  ]);
  return { authority, good, expired, otherName, stranger, own, nameless, client };
}

/** Declares the tests for one adapter. */
export function testConformance(adapter: Adapter): void {
  testConformanceIn({
    test,
    certificates,
    listen: (hostname) => Listener.tcp(hostname),
    listenUnix: () => Listener.unix(),
  }, adapter);
}
