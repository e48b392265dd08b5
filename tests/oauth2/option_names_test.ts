import { assertEquals, assertThrows } from "@std/assert";
import {
  clientCredentials,
  google,
  refreshToken,
  serviceAccount,
  tokenSource,
} from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";

const APPLICATION = {
  provider: google,
  clientId: "client",
  clientSecret: "s3cret-of-client",
  refreshToken: "1//token",
};

/** What a program passes that has no types. */
const untyped = (options: Record<string, unknown>) => options as never;

for (
  const [name, call, message] of [
    [
      "refreshToken() refuses nodemailer's options",
      () => refreshToken(untyped({ ...APPLICATION, user: "me@gmail.com", accessUrl: "https://x.test/" })),
      'there is no option "user", use it in auth, beside accessToken; ' +
      'there is no option "accessUrl", use provider: { tokenEndpoint }',
    ],
    [
      "refreshToken() refuses a misspelt option",
      () => refreshToken(untyped({ ...APPLICATION, onrefreshtoken: () => {} })),
      'there is no option "onrefreshtoken", did you mean onRefreshToken?',
    ],
    [
      "refreshToken() refuses a misspelt option of the provider",
      () => refreshToken(untyped({ ...APPLICATION, provider: { tokenEndPoint: "https://x.test/" } })),
      'there is no option "provider.tokenEndPoint", did you mean provider.tokenEndpoint?',
    ],
    [
      "refreshToken() refuses a provider that is a name",
      () => refreshToken(untyped({ ...APPLICATION, provider: "google" })),
      "provider must be an object, the current value is a string",
    ],
    [
      "refreshToken() refuses to do without a provider",
      () => refreshToken(untyped({ clientId: "client", refreshToken: "1//token" })),
      "provider must be an object, the current value is undefined",
    ],
    [
      "clientCredentials() refuses a refresh token",
      () => clientCredentials(untyped(APPLICATION)),
      'there is no option "refreshToken", only clientId, clientSecret, clientSecretMethod, privateKey, keyId, ' +
      "certificate, algorithm, provider, scope, parameters, fetch, allowInsecureRequests, timeout, signal, margin, now",
    ],
    [
      "serviceAccount() refuses a provider",
      () => serviceAccount(untyped({ key: "{}", provider: google })),
      'there is no option "provider", only scope',
    ],
    [
      "tokenSource() refuses an option that does not exist",
      () => tokenSource(() => "token", untyped({ timeOut: 5, retries: 3 })),
      'there is no option "timeOut", did you mean timeout?; there is no option "retries", only timeout',
    ],
  ] as [string, () => unknown, string][]
) {
  test(`${name}, and shows no secret`, () => {
    const error = assertThrows(call, TypeError, `Cannot create a token source: ${message}`);
    for (const secret of [APPLICATION.clientSecret, APPLICATION.refreshToken]) {
      assertEquals(error.message.includes(secret), false);
    }
  });
}
