import { assertEquals } from "@std/assert";
import { tokenSource } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";
import { FakeServer } from "./fake_server.ts";
import { failure, poolOf, sendTo } from "./pools.ts";
import { inTime, later, turns } from "./time.ts";

/** A server that takes one token. */
function serverFor(token: { valid: string }, logins: string[]): FakeServer {
  const server = new FakeServer();
  server.extensions = ["AUTH XOAUTH2"];
  server.answer = (line) => {
    if (line === "") return "535 5.7.8 Refused";
    if (!line.startsWith("AUTH")) return undefined;
    const given = atob(line.split(" ")[2]!).split("Bearer ")[1]!.split("\x01")[0]!;
    logins.push(given);
    return given === token.valid ? undefined : "334 e30=";
  };
  return server;
}

test("SmtpPool asks for one token for all connections, and again only when it is refused", () =>
  inTime(async () => {
    const token = { valid: "token-one" };
    const logins: string[] = [];
    const server = serverFor(token, logins);
    const asked: (string | undefined)[] = [];
    const pool = poolOf({ "mx.test": server }, {
      maxConnections: 4,
      auth: {
        user: "me",
        accessToken: async (refused) => {
          asked.push(refused);
          await later(50);
          return token.valid;
        },
      },
    });
    const send20 = () => Promise.all(Array.from({ length: 20 }, (_, i) => sendTo(pool, `${i}`)));
    await send20();
    assertEquals([asked, server.asked, logins.length], [[undefined], 4, 4]);
    token.valid = "token-two"; // the first one has expired
    for (const connection of server.open) connection.close();
    await turns();
    await send20();
    assertEquals([asked, server.asked], [[undefined, "token-one"], 8]);
    assertEquals(logins.slice(4), ["token-one", "token-two", "token-two", "token-two", "token-two"]);
    await pool.close();
  }));

test("SmtpPool asks a source of tokens for each login: it knows when its token expires", () =>
  inTime(async () => {
    const token = { valid: "token-1" };
    const logins: string[] = [];
    let issued = 0;
    const accessToken = tokenSource(
      () => ({ accessToken: token.valid = `token-${++issued}`, expiresIn: 60 }),
      {
        now: () => performance.now(),
      },
    );
    const server = serverFor(token, logins);
    const pool = poolOf({ "mx.test": server }, { auth: { user: "me", accessToken }, idleTimeout: 1_000 });
    await sendTo(pool, "1");
    await later(5_000);
    await sendTo(pool, "2");
    await later(100_000);
    await sendTo(pool, "3");
    assertEquals([logins, issued], [["token-1", "token-1", "token-2"], 2]);
    await pool.close();
  }));

test("SmtpPool shares no token and no connection with another pool", () =>
  inTime(async () => {
    const logins: string[] = [];
    let issued = 0;
    const token = { valid: "" };
    const server = serverFor(token, logins);
    const options = { auth: { user: "me", accessToken: () => token.valid = `token-${++issued}` } };
    const pools = [poolOf({ "mx.test": server }, options), poolOf({ "mx.test": server }, options)];
    for (const pool of pools) await sendTo(pool, "you");
    assertEquals([logins, server.asked], [["token-1", "token-2"], 2]);
    for (const pool of pools) await pool.close();
  }));

test("SmtpPool does not ask again and again for a token that cannot be obtained", () =>
  inTime(async () => {
    let asked = 0;
    const server = serverFor({ valid: "token-one" }, []);
    const pool = poolOf({ "mx.test": server }, {
      auth: {
        user: "me",
        accessToken: () => {
          asked++;
          throw new Error("no");
        },
      },
    });
    const errors = await Promise.all([1, 2, 3].map((i) => failure(sendTo(pool, `${i}`))));
    assertEquals([errors.map((error) => error!.code), asked], [
      ["auth-failed", "auth-failed", "auth-failed"],
      1,
    ]);
    await pool.close();
  }));
