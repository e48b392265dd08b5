import { assert, assertEquals } from "@std/assert";
import { SmtpClient } from "../../mod.ts";
import type { SmtpClientOptions } from "../../mod.ts";
import { refreshToken, serviceAccount, TokenError } from "../../src/oauth2/mod.ts";
import type { TokenSource } from "../../src/oauth2/mod.ts";
import { dovecotSaslMissing, startDovecotSasl } from "../support/dovecot_sasl.ts";
import { test } from "../support/harness.ts";
import { makeKey } from "../support/oauth_keys.ts";
import { OAuthServer } from "../support/oauth_server.ts";
import type { PeerServer } from "../support/peer_server.ts";
import { postfixMissing, startPostfix } from "../support/postfix.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const USER = "user@example.org";

function optionsFor(dovecot: PeerServer, accessToken: TokenSource, mechanism: string): SmtpClientOptions {
  return {
    hostname: "localhost",
    port: dovecot.ports[0]!,
    tls: { caCerts: [dovecot.ca] },
    clientName: "client.test",
    auth: { user: USER, accessToken, mechanisms: [mechanism] },
  };
}

function source(server: OAuthServer): TokenSource {
  server.clients.set("app", { method: "client_secret_basic", secret: "secret" });
  server.refreshTokens.set("refresh-0", USER);
  return refreshToken({
    provider: { tokenEndpoint: server.tokenEndpoint },
    allowInsecureRequests: true,
    clientId: "app",
    clientSecret: "secret",
    refreshToken: "refresh-0",
  });
}

test("Dovecot asks the authorisation server, and the client gets another token when one is refused", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 120_000,
}, async () => {
  await using postfix = await startPostfix();
  await using server = await OAuthServer.start();
  await using dovecot = await startDovecotSasl(postfix.submissionPort, server.introspectionUrl);
  const accessToken = source(server);
  const logIn = async (mechanism: string) => {
    await using client = await SmtpClient.connect(optionsFor(dovecot, accessToken, mechanism));
    assert(client.authenticated);
  };
  let requests = 0;
  for (const mechanism of ["OAUTHBEARER", "XOAUTH2"]) {
    server.introspected.length = 0;
    await logIn(mechanism);
    assertEquals(server.requests.length, requests = Math.max(requests, 1));
    // Revoked, as when the user changes the password: only the server's refusal shows it.
    server.revokeAll();
    await logIn(mechanism);
    assertEquals(server.requests.length, ++requests);
    const [first, refused, fresh] = server.introspected;
    assertEquals([server.introspected.length, refused, [fresh]], [3, first, server.tokens]);
    // It was kept: the next login needs no new token.
    await logIn(mechanism);
    assertEquals(server.requests.length, requests);
  }

  // A final refusal gives both reasons: the server's and the authorisation server's.
  server.revokeAll();
  server.refreshTokens.clear();
  const error = await rejectsWith("auth-failed", () => logIn("OAUTHBEARER"));
  assert(error.cause instanceof TokenError);
  assertEquals([error.cause.code, error.cause.error], ["refused", "invalid_grant"]);
});

test("Dovecot: ten connections at once take one token, and one more when it is refused to all", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 120_000,
}, async () => {
  await using postfix = await startPostfix();
  await using server = await OAuthServer.start();
  await using dovecot = await startDovecotSasl(postfix.submissionPort, server.introspectionUrl);
  const accessToken = source(server);
  const logIn = async (_: unknown, i: number) => {
    const options = optionsFor(dovecot, accessToken, i % 2 === 0 ? "OAUTHBEARER" : "XOAUTH2");
    await using client = await SmtpClient.connect(options);
    assert(client.authenticated);
  };
  await Promise.all(Array.from({ length: 10 }, logIn));
  assertEquals([server.requests.length, new Set(server.introspected).size], [1, 1]);
  server.revokeAll();
  server.introspected.length = 0;
  await Promise.all(Array.from({ length: 10 }, logIn));
  assertEquals([server.requests.length, new Set(server.introspected).size], [2, 2]);
});

test("Dovecot: a mail goes out with the token of a service account", {
  skip: dovecotSaslMissing() ?? postfixMissing(),
  timeout: 120_000,
}, async () => {
  await using postfix = await startPostfix();
  await using server = await OAuthServer.start();
  await using dovecot = await startDovecotSasl(postfix.submissionPort, server.introspectionUrl);
  const { pem, publicKey } = await makeKey("RS256");
  const client_email = "mailer@project.iam.gserviceaccount.com";
  server.accounts.set(client_email, publicKey);
  const accessToken = serviceAccount({
    key: { client_email, private_key: pem, token_uri: server.tokenEndpoint },
    subject: USER,
    allowInsecureRequests: true,
  });
  await using client = await SmtpClient.connect(optionsFor(dovecot, accessToken, "OAUTHBEARER"));
  const receipt = await client.send({ from: USER, to: "you@example.org" }, "Subject: Hi\r\n\r\nHello\r\n");
  assertEquals(receipt.accepted, ["you@example.org"]);
});
