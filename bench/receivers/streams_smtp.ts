/**
 * Receives messages with this library's server, and reads each to its end.
 *
 * @module
 */
import { serve } from "../../src/server/mod.ts";
import { announce } from "./ready.ts";

const server = serve({ serverName: "mx.example.org", maxMessageSize: Infinity }, {
  async message(content): Promise<void> {
    const reader = content.getReader();
    while (!(await reader.read()).done);
  },
});
announce((await server.listening).port);
