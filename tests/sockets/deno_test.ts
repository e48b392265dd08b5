import { runtime } from "../support/harness.ts";
import { testConformance } from "./conformance.ts";

if (runtime === "deno") {
  const { connectDeno } = await import("../../src/sockets/deno.ts");
  testConformance({ name: "connectDeno()", connect: connectDeno, lingersInHandshake: true });
}
