import { connect } from "../../src/sockets/connect.ts";
import { runtime } from "../support/harness.ts";
import { testConformance } from "./conformance.ts";

testConformance({ name: `connect() on ${runtime}`, connect, lingersInHandshake: runtime === "deno" });
