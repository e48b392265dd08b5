// Listens according to its argument, on Deno, and prints whether it does.
import { serve } from "../../../src/server/mod.ts";

const server = serve(JSON.parse(Deno.args[0]!));
try {
  await server.listening;
  console.log(JSON.stringify({ listening: true }));
} catch (error) {
  const { name, message } = error as Error;
  console.log(JSON.stringify({ name, message }));
}
await server.shutdown();
