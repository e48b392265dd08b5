import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { inspect } from "node:util";
import { clientCredentials, TokenError } from "../../src/oauth2/mod.ts";
import type { ClientCredentialsOptions } from "../../src/oauth2/mod.ts";
import { createAuthority } from "../support/certificates.ts";
import { test } from "../support/harness.ts";
import { OAuthServer } from "../support/oauth_server.ts";
import { makeKey, thumbprintOf } from "../support/oauth_keys.ts";

function optionsFor(server: OAuthServer): Omit<ClientCredentialsOptions, "clientId"> {
  return { provider: { tokenEndpoint: server.tokenEndpoint }, allowInsecureRequests: true };
}

test("clientCredentials() sends the secret in the header or in the body, as the option says", async () => {
  await using server = await OAuthServer.start();
  const clientSecret = "ä:+%&= /";
  server.clients.set("b&sic", { method: "client_secret_basic", secret: clientSecret });
  server.clients.set("post", { method: "client_secret_post", secret: clientSecret });
  const options = { ...optionsFor(server), clientSecret };
  const basic = clientCredentials({ ...options, clientId: "b&sic" });
  const post = clientCredentials({ ...options, clientId: "post", clientSecretMethod: "client_secret_post" });
  assertEquals(server.tokens, []);
  assertEquals([await basic(), await post()], server.tokens);
  assertEquals([...server.requests[0]!.body.keys()], ["grant_type"]);
  assertEquals([...server.requests[1]!.body.keys()].sort(), ["client_id", "client_secret", "grant_type"]);
});

test("clientCredentials() authenticates with a private key, with a new assertion each time", async () => {
  await using server = await OAuthServer.start();
  for (const algorithm of ["RS256", "PS256", "ES256"] as const) {
    const { pem, publicKey, privateKey } = await makeKey(algorithm);
    const clientId = `app-${algorithm}`;
    server.clients.set(clientId, { method: "private_key_jwt", publicKey });
    const options = { ...optionsFor(server), clientId, keyId: "key-1" };
    const sources = [
      clientCredentials({ ...options, privateKey: pem, ...algorithm === "PS256" && { algorithm } }),
      clientCredentials({ ...options, privateKey }),
    ];
    for (const source of sources) {
      const first = await source();
      assert(await source(first) !== first); // the server takes no assertion twice
      assertEquals(server.requests.at(-1)!.jwtHeader, { alg: algorithm, typ: "JWT", kid: "key-1" });
    }
  }
});

test("clientCredentials() sends its certificate's thumbprints and signs with PS256, as Microsoft requires", async () => {
  await using server = await OAuthServer.start();
  const { pem, publicKey } = await makeKey("PS256");
  const { cert: certificate } = await createAuthority(); // any will do: only its thumbprint is said
  const thumbprint = await thumbprintOf(certificate);
  server.clients.set("app", { method: "private_key_jwt", publicKey, thumbprint });
  const source = clientCredentials({ ...optionsFor(server), clientId: "app", privateKey: pem, certificate });
  const token = await source();
  assertEquals(server.tokens, [token]);
  const { alg, x5t } = server.requests[0]!.jwtHeader!;
  assertEquals([alg, (x5t as string).length], ["PS256", 27]);
});

test("clientCredentials() uses the given clock", async () => {
  await using server = await OAuthServer.start();
  const { pem, publicKey } = await makeKey("ES256");
  server.clients.set("app", { method: "private_key_jwt", publicKey });
  server.now = () => 4_000_000_000_000;
  const options = { ...optionsFor(server), clientId: "app", privateKey: pem };
  assert(await clientCredentials({ ...options, now: server.now })());
  const { iat, exp } = server.requests[0]!.claims! as { iat: number; exp: number };
  assertEquals([iat, exp - iat], [4_000_000_000, 300]);
  const error = await assertRejects(() => clientCredentials(options)(), TokenError);
  assertEquals([error.code, error.error], ["refused", "invalid_grant"]);
});

test("clientCredentials() shows nothing of an assertion that was refused", async () => {
  await using server = await OAuthServer.start();
  const { pem } = await makeKey("ES256");
  const { publicKey } = await makeKey("ES256");
  server.clients.set("app", { method: "private_key_jwt", publicKey });
  const source = clientCredentials({ ...optionsFor(server), clientId: "app", privateKey: pem });
  const error = await assertRejects(() => source(), TokenError);
  assert(error.message.includes("The signature of ******** is wrong"), error.message);
  assert(!inspect(error, { depth: 9 }).includes(server.requests[0]!.body.get("client_assertion")!));
});

test("clientCredentials() reports a key that cannot sign", async () => {
  await using server = await OAuthServer.start();
  const { pem } = await makeKey("ES256");
  const options = { ...optionsFor(server), clientId: "app" };
  const source = clientCredentials({ ...options, privateKey: pem, algorithm: "RS256" });
  assertEquals((await assertRejects(() => source(), TokenError)).code, "key-unusable");
  const garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
  const none = clientCredentials({ ...options, privateKey: garbage });
  const error = await assertRejects(() => none(), TokenError);
  assertEquals([error.code, error.message], [
    "key-unusable",
    "The private key is not valid for RS256 or ES256",
  ]);
  assertEquals(server.requests, []);
});

test("clientCredentials() requests the provider's scope, or the caller's", async () => {
  await using server = await OAuthServer.start();
  server.clients.set("app", { method: "client_secret_basic", secret: "s" });
  const options = { ...optionsFor(server), clientId: "app", clientSecret: "s" };
  const provider = { ...options.provider, clientScope: "mail/.default" };
  await clientCredentials({ ...options, provider })();
  await clientCredentials({ ...options, provider, scope: "mine" })();
  assertEquals(server.requests.map(({ body }) => body.get("scope")), ["mail/.default", "mine"]);
});

test("clientCredentials() refuses a client without credentials", () => {
  const provider = { tokenEndpoint: "https://auth.example.org/token" };
  assertThrows(() => clientCredentials({ provider, clientId: "app" }), TypeError, "need a clientSecret");
});
