// Loads the libraries that are loaded only on demand, on Deno.
import { cramMd5, scramSha256 } from "../../../src/sasl/mod.ts";

const challenge = new TextEncoder().encode("<1896.697170952@postoffice.reston.mci.net>");
const response = await cramMd5({ user: "tim", pass: "tanstaaftanstaaf" }).respond(challenge);
const mechanism = scramSha256({ user: "u\u0308ser", pass: "pa\u00adss" });
const { initialResponse } = mechanism;
const initial = typeof initialResponse === "function"
  ? await initialResponse.call(mechanism)
  : initialResponse;
console.log(JSON.stringify([response, initial].map((bytes) => new TextDecoder().decode(bytes).slice(0, 10))));
