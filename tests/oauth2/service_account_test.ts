import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { serviceAccount, TokenError } from "../../src/oauth2/mod.ts";
import type { ServiceAccountKey, ServiceAccountOptions } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";
import { makeKey } from "../support/oauth_keys.ts";
import { OAuthServer } from "../support/oauth_server.ts";

const ACCOUNT = "mailer@project.iam.gserviceaccount.com";

async function setting(
  algorithm: "RS256" | "ES256",
): Promise<{ server: OAuthServer; key: ServiceAccountKey }> {
  const server = await OAuthServer.start();
  const { pem, publicKey } = await makeKey(algorithm);
  server.accounts.set(ACCOUNT, publicKey);
  return {
    server,
    key: {
      client_email: ACCOUNT,
      private_key: pem,
      private_key_id: "key-1",
      token_uri: server.tokenEndpoint,
    },
  };
}

test("serviceAccount() signs with its key for the user it acts for", async () => {
  for (const algorithm of ["RS256", "ES256"] as const) {
    const { server, key } = await setting(algorithm);
    await using _ = server;
    const subject = "user@example.com";
    const source = serviceAccount({ key, subject, allowInsecureRequests: true });
    const tokens = await Promise.all(Array.from({ length: 10 }, () => source()));
    assertEquals([new Set(tokens).size, server.requests.length], [1, 1]);
    const { body, claims, jwtHeader } = server.requests[0]!;
    assertEquals([...body.keys()].sort(), ["assertion", "grant_type"]);
    assertEquals(jwtHeader, { alg: algorithm, kid: "key-1", typ: "JWT" });
    const { iss, sub, aud, scope, iat, exp } = claims as Record<string, number>;
    assertEquals([iss, sub, aud, scope, exp! - iat!] as unknown[], [
      ACCOUNT,
      subject,
      server.tokenEndpoint,
      "https://mail.google.com/",
      3600,
    ]);
  }
});

test("serviceAccount() takes the text of the key file, and has no subject without a user", async () => {
  const { server, key } = await setting("RS256");
  await using _ = server;
  const text = JSON.stringify({ type: "service_account", project_id: "project", ...key });
  const source = serviceAccount({ key: text, allowInsecureRequests: true });
  const first = await source();
  assert(await source(first) !== first);
  assert(!("sub" in server.requests[0]!.claims!));
});

test("serviceAccount() takes a key with escaped line ends, as environment variables have them", async () => {
  const { server, key } = await setting("ES256");
  await using _ = server;
  const private_key = key.private_key.replaceAll("\n", "\\n");
  assert(await serviceAccount({ key: { ...key, private_key }, allowInsecureRequests: true })());
});

test("serviceAccount() says why it was refused", async () => {
  const { server, key } = await setting("ES256");
  await using _ = server;
  const source = serviceAccount({ key, scope: "another", allowInsecureRequests: true });
  const error = await assertRejects(() => source(), TokenError);
  assertEquals([error.code, error.error], ["refused", "invalid_scope"]);
});

test("serviceAccount() uses Google's endpoint if the key names no other, over TLS only", async () => {
  const { pem } = await makeKey("RS256");
  const seen: string[] = [];
  const fetch = (url: string) => {
    seen.push(url);
    return Promise.resolve(Response.json({ access_token: "t", token_type: "Bearer", expires_in: 3599 }));
  };
  const key = { client_email: ACCOUNT, private_key: pem };
  assertEquals(await serviceAccount({ key, fetch })(), "t");
  assertEquals(seen, ["https://oauth2.googleapis.com/token"]);
  assertThrows(
    () => serviceAccount({ key: { ...key, token_uri: "http://127.0.0.1/token" } }),
    TypeError,
    "must be an https: URL",
  );
});

test("serviceAccount() refuses invalid keys, and shows nothing of them", () => {
  const keys = [
    '{"private_key":"LEAK',
    "null",
    "{}",
    { client_email: ACCOUNT },
    { client_email: "", private_key: "LEAK" },
    { client_email: ACCOUNT, private_key: "LEAK" },
    { client_email: ACCOUNT, private_key: "-----BEGIN PRIVATE KEY-----LEAK!-----END PRIVATE KEY-----" },
    { client_email: ACCOUNT, private_key: "-----BEGIN ENCRYPTED PRIVATE KEY-----LEAK" },
  ];
  for (const key of keys) {
    const error = assertThrows(() => serviceAccount({ key } as ServiceAccountOptions), TypeError);
    assert(!(error as Error).message.includes("LEAK"));
  }
});
