import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { inspect } from "node:util";
import { refreshToken, TokenError } from "../../src/oauth2/mod.ts";
import type { RefreshTokenOptions } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";
import { OAuthServer } from "../support/oauth_server.ts";

/** A server that knows a public client `app` and a user's first refresh token, and the options for both. */
async function setting(): Promise<{ server: OAuthServer; options: RefreshTokenOptions }> {
  const server = await OAuthServer.start();
  server.clients.set("app", { method: "none" });
  server.refreshTokens.set("refresh-0", "user@example.org");
  return {
    server,
    options: {
      provider: { tokenEndpoint: server.tokenEndpoint },
      allowInsecureRequests: true,
      clientId: "app",
      refreshToken: "refresh-0",
    },
  };
}

test("refreshToken() gets one access token for all who ask", async () => {
  const { server, options } = await setting();
  await using _ = server;
  const source = refreshToken(options);
  const tokens = await Promise.all(Array.from({ length: 10 }, () => source()));
  assertEquals([new Set(tokens).size, server.requests.length], [1, 1]);
  assertEquals(server.tokens, [tokens[0]!]);
  const { body } = server.requests[0]!;
  assertEquals(Object.fromEntries(body), {
    grant_type: "refresh_token",
    refresh_token: "refresh-0",
    client_id: "app",
  });
});

test("refreshToken() uses the latest refresh token, and stores it before it returns an access token", async () => {
  const { server, options } = await setting();
  await using _ = server;
  let now = 0;
  server.now = () => now;
  const stored: string[] = [];
  const events: string[] = [];
  const source = refreshToken({
    ...options,
    now: server.now,
    async onRefreshToken(token) {
      await Promise.resolve();
      stored.push(token);
      events.push("stored");
    },
  });
  for (let i = 0; i < 3; i++) {
    await source();
    events.push("given");
    now += 3_600_000; // expired
  }
  assertEquals(events, ["stored", "given", "stored", "given", "stored", "given"]);
  assertEquals(server.requests.map(({ body }) => body.get("refresh_token")), [
    "refresh-0",
    stored[0]!,
    stored[1]!,
  ]);
  assertEquals([...server.refreshTokens.keys()], [stored[2]!]);
});

test("refreshToken() does not report a refresh token that stays the same", async () => {
  const { server, options } = await setting();
  await using _ = server;
  server.answers.push({ body: { access_token: "a", token_type: "Bearer", refresh_token: "refresh-0" } });
  server.rotates = false;
  const source = refreshToken({ ...options, onRefreshToken: () => assert(false) });
  assertEquals(await source(), "a");
  assert((await source("a")).startsWith("access-"));
});

test("refreshToken() loses no refresh token that could not be stored", async () => {
  const { server, options } = await setting();
  await using _ = server;
  const seen: string[] = [];
  const source = refreshToken({
    ...options,
    onRefreshToken(token) {
      seen.push(token);
      if (seen.length < 3) throw new Error("Disk full");
    },
  });
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => source(), TokenError);
    assertEquals([error.code, (error.cause as Error).message], ["callback-failed", "Disk full"]);
  }
  const token = await source();
  assertEquals(server.tokens, [token]);
  assertEquals([new Set(seen).size, seen.length, server.requests.length], [1, 3, 1]);
});

test("refreshToken() reads a refresh token that is stored elsewhere before each request", async () => {
  const { server, options } = await setting();
  await using _ = server;
  let store = "refresh-0";
  const source = refreshToken({
    ...options,
    refreshToken: () => Promise.resolve(store),
    onRefreshToken: (token) => void (store = token),
  });
  const first = await source();
  server.refreshTokens.delete(store);
  server.refreshTokens.set(store = "refresh-of-another-process", "user@example.org");
  assert(await source(first) !== first);
  const broken = refreshToken({ ...options, refreshToken: () => Promise.reject(new Error("Gone")) });
  assertEquals((await assertRejects(() => broken(), TokenError)).code, "callback-failed");
});

test("refreshToken() requests another token when a server has refused one, once for all logins", async () => {
  const { server, options } = await setting();
  await using _ = server;
  const source = refreshToken(options);
  const first = await source();
  server.revokeAll();
  const tokens = await Promise.all(Array.from({ length: 10 }, () => source(first)));
  assertEquals([new Set(tokens).size, server.requests.length], [1, 2]);
  assertEquals(server.tokens, [tokens[0]!]);
});

test("refreshToken() says why it was refused, shows no secret, and tries again", async () => {
  const { server, options } = await setting();
  await using _ = server;
  const source = refreshToken({ ...options, refreshToken: "not-a-good-one" });
  const error = await assertRejects(() => source(), TokenError);
  assertEquals([error.code, error.error, error.status, error.temporary], [
    "refused",
    "invalid_grant",
    400,
    false,
  ]);
  assertEquals(
    error.message,
    "The authorisation server refused to issue a token: invalid_grant: There is no refresh token ********",
  );
  assert(!inspect(error, { depth: 9, showHidden: true }).includes("not-a-good-one"));
  server.refreshTokens.set("not-a-good-one", "user@example.org");
  const token = await source();
  assertEquals(server.tokens, [token]);
});

test("refreshToken() requests the provider's scope, or the caller's", async () => {
  const { server, options } = await setting();
  await using _ = server;
  const provider = { ...options.provider, refreshScope: "SMTP.Send offline_access" };
  server.rotates = false;
  await refreshToken({ ...options, provider })();
  await refreshToken({ ...options, provider, scope: "mine", parameters: { resource: "urn:mail" } })();
  assertEquals(server.requests.map(({ body }) => [body.get("scope"), body.get("resource")]), [
    ["SMTP.Send offline_access", null],
    ["mine", "urn:mail"],
  ]);
});

test("refreshToken() refuses invalid options", async () => {
  const provider = { tokenEndpoint: "https://auth.example.org/token" };
  const good = { provider, clientId: "app", refreshToken: "r" };
  refreshToken(good);
  for (
    const wrong of [
      { refreshToken: "" },
      { refreshToken: 1 },
      { clientId: "" },
      { clientSecret: "" },
      { clientSecret: "s", clientSecretMethod: "client_secret_jwt" },
      { clientSecret: "s", privateKey: "k" },
      { certificate: "c" },
      { privateKey: "-----BEGIN RSA PRIVATE KEY-----" },
      { provider: { tokenEndpoint: "auth.example.org" } },
      { provider: { tokenEndpoint: "http://auth.example.org/token" } },
      { provider: { tokenEndpoint: "ftp://auth.example.org/token" }, allowInsecureRequests: true },
      { provider: { tokenEndpoint: "https://me:secret@auth.example.org/token" } },
    ]
  ) {
    const error = assertThrows(() => refreshToken({ ...good, ...wrong } as RefreshTokenOptions), TypeError);
    assert(!(error as Error).message.includes("me:secret"));
  }
  const empty = refreshToken({ ...good, refreshToken: () => "" });
  assertEquals((await assertRejects(() => empty(), TokenError)).code, "callback-failed");
});
