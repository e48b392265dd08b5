import { assert, assertEquals, assertRejects } from "@std/assert";
import { inspect } from "node:util";
import { clientCredentials, TokenError } from "../../src/oauth2/mod.ts";
import type { ClientCredentialsOptions, TokenSource } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";
import { type Answer, OAuthServer } from "../support/oauth_server.ts";

const SECRET = "the k3y: v3ry+h1dden%";

async function setting(
  more: Partial<ClientCredentialsOptions> = {},
): Promise<{ server: OAuthServer; source: TokenSource }> {
  const server = await OAuthServer.start();
  server.clients.set("app", { method: "client_secret_basic", secret: SECRET });
  const source = clientCredentials({
    provider: { tokenEndpoint: server.tokenEndpoint },
    allowInsecureRequests: true,
    clientId: "app",
    clientSecret: SECRET,
    ...more,
  });
  return { server, source };
}

/** Returns the error that a response leads to. No part of it shows the response or the request. */
async function failure(answer: Answer): Promise<TokenError> {
  const { server, source } = await setting();
  await using _ = server;
  server.answers.push(answer);
  const error = await assertRejects(() => source(), TokenError);
  const shown = inspect(error, { depth: 9, showHidden: true });
  for (const secret of ["LEAK", SECRET, btoa(SECRET)]) assert(!shown.includes(secret), shown);
  assertEquals(server.tokens, []);
  assert((await source()).startsWith("access-")); // the failure is over
  return error;
}

const told = ({ code, error, status, temporary }: TokenError) => [code, error, status, temporary];

test("A token endpoint's refusal is reported in its own words", async () => {
  assertEquals(
    told(await failure({ status: 400, body: { error: "invalid_scope" } })),
    ["refused", "invalid_scope", 400, false],
  );
  const body = {
    error: "invalid_client",
    error_description: "AADSTS7000215: Invalid client secret\r\n\x1b[31m",
  };
  const challenged = await failure({ status: 401, headers: { "www-authenticate": "Basic" }, body });
  assertEquals(told(challenged), ["refused", "invalid_client", 401, false]);
  assertEquals(
    challenged.message,
    "The authorisation server refused to issue a token: invalid_client: AADSTS7000215: Invalid client secret???[31m",
  );
  assertEquals(
    told(await failure({ status: 400, body: { error: "temporarily_unavailable" } })),
    ["refused", "temporarily_unavailable", 400, true],
  );
});

test("A token endpoint's error is masked where it repeats a secret, and cut where it is long", async () => {
  const error_description = `${SECRET} and app:${SECRET} ${"x".repeat(1000)}`;
  const error = await failure({ status: 400, body: { error: "invalid_client", error_description } });
  assert(error.message.includes(": ******** and ******** xxx"), error.message);
  assert(error.message.length < 400);
});

test("A token endpoint's response that is not one of RFC 6749 is reported by its status", async () => {
  for (const status of [204, 302, 400, 404]) {
    const body = status === 204 ? "" : "<html>LEAK</html>";
    const headers = { location: "http://127.0.0.1:1/LEAK" };
    assertEquals(told(await failure({ status, body, headers })), ["bad-response", undefined, status, false]);
  }
  for (const status of [429, 500, 503]) {
    assertEquals(told(await failure({ status, body: "LEAK" })), ["bad-response", undefined, status, true]);
  }
});

test("A token endpoint's token is accepted only if it is complete and usable", async () => {
  const good = { access_token: "LEAK", token_type: "bearer", expires_in: 60 };
  for (
    const body of [
      "LEAK",
      '{"access_token":"LEAK',
      "[]",
      '"LEAK"',
      { ...good, access_token: undefined },
      { ...good, access_token: "" },
      { ...good, access_token: 1 },
      { ...good, access_token: "LEAK\x01" },
      { ...good, token_type: undefined },
      { ...good, token_type: "DPoP" },
      { ...good, token_type: "mac" },
      { ...good, expires_in: -1 },
      { ...good, expires_in: "soon" },
      { ...good, refresh_token: 1 },
    ]
  ) {
    assertEquals((await failure({ body: body as string })).code, "bad-response", JSON.stringify(body));
  }
});

test("A token endpoint's token is accepted whatever else the response has", async () => {
  const { server, source } = await setting({ now: () => 0 });
  await using _ = server;
  server.answers.push({
    headers: { "content-type": "text/plain" },
    body: {
      access_token: "token",
      token_type: "BEARER",
      expires_in: "3600",
      id_token: "e30.e30.e30", // another issuer's, unsigned: it is not looked at
      scope: "a b",
      refresh_token: null,
      more: {},
    },
  });
  assertEquals(await source(), "token");
});

test("A token endpoint's response may not be longer than any token", async () => {
  const error = await failure({ body: `${" ".repeat(64 * 1024)}{}` });
  assertEquals(
    [error.code, error.message],
    ["bad-response", "The response of the authorisation server is longer than 65536 bytes"],
  );
});

test("A token endpoint that cannot be reached is a network error, with its cause", async () => {
  const { server, source } = await setting();
  const { host } = new URL(server.origin);
  await server[Symbol.asyncDispose]();
  const error = await assertRejects(() => source(), TokenError);
  assertEquals(told(error), ["network", undefined, undefined, true]);
  assertEquals(error.message, `Could not reach the authorisation server ${host}`);
  assert(error.cause instanceof Error);
});

test("A token endpoint that hangs is abandoned after the time limit, and when the source is stopped", async () => {
  const controller = new AbortController();
  const hanging = Promise.withResolvers<void>();
  for (
    const [options, code] of [[{ timeout: 20 }, "timeout"], [
      { signal: controller.signal },
      "aborted",
    ]] as const
  ) {
    const { server, source } = await setting(options);
    await using _ = server;
    server.gate = hanging.promise;
    const waiting = assertRejects(() => source(), TokenError);
    if (code === "aborted") controller.abort();
    assertEquals((await waiting).code, code);
  }
  hanging.resolve();
});

test("A token endpoint that stops in the middle of its response is a network error", async () => {
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("Reset")),
  });
  const { server, source } = await setting({ fetch: () => Promise.resolve(new Response(body)) });
  await using _ = server;
  assertEquals(told(await assertRejects(() => source(), TokenError)), [
    "network",
    undefined,
    undefined,
    true,
  ]);
});

test("The caller's fetch is used, and follows no redirect", async () => {
  const seen: [string, RequestInit][] = [];
  const { server, source } = await setting({
    fetch: (url, init) => {
      seen.push([url, init]);
      return Promise.resolve(Response.json({ access_token: "t", token_type: "bearer" }));
    },
  });
  await using _ = server;
  assertEquals(await source(), "t");
  assertEquals(seen.map(([url, { method, redirect }]) => [url, method, redirect]), [
    [server.tokenEndpoint, "POST", "manual"],
  ]);
});
