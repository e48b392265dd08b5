/**
 * The whole of the conformance suite.
 * @module
 */
import { testCertificates } from "./certificates.ts";
import { testEnds } from "./ends.ts";
import { testOpening } from "./opening.ts";
import { type Adapter, createSuite, type World } from "./suite.ts";
import { testTls } from "./tls.ts";
import { testTransfer } from "./transfer.ts";
import { testUnix } from "./unix.ts";

/** Declares the tests for one adapter in one world. */
export function testConformanceIn(world: World, adapter: Adapter): void {
  const suite = createSuite(adapter, world);
  testOpening(suite);
  testTransfer(suite);
  testEnds(suite);
  testTls(suite);
  testCertificates(suite);
  testUnix(suite);
}
