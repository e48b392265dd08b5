/** What a token endpoint repeats of a request, in every form: no six characters of a secret are shown. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { clientCredentials, refreshToken, serviceAccount, TokenError } from "../../src/oauth2/mod.ts";
import type { Fetch, TokenSource } from "../../src/oauth2/mod.ts";
import { test } from "../support/harness.ts";
import { makeKey } from "../support/oauth_keys.ts";
import { mustHide, REPEATED_FORMS } from "../support/repeated_forms.ts";
import { textOf } from "../support/secrets.ts";

const SECRET = `q8Q~k+3<&"y' %=\\-_v3ry/h1dden`;
const REFRESH = "1//0gk3-yOfTheUser_CgYIARAAGBASNwF-L9Ir";

/** The parameters of a request, the header's secret among them. */
type Sent = Readonly<Record<string, string>>;

const app = { provider: { tokenEndpoint: "https://login.test/token" }, clientId: "app" };

const REQUESTS: readonly (readonly [
  what: string,
  source: (fetch: Fetch) => Promise<TokenSource> | TokenSource,
  secretsOf: (sent: Sent) => (string | undefined)[],
])[] = [
  [
    "a client secret in the header",
    (fetch) => clientCredentials({ ...app, fetch, clientSecret: SECRET }),
    ({ basic }) => [SECRET, basic],
  ],
  [
    "a client secret in the body",
    (fetch) =>
      clientCredentials({ ...app, fetch, clientSecret: SECRET, clientSecretMethod: "client_secret_post" }),
    () => [SECRET],
  ],
  [
    "a refresh token",
    (fetch) => refreshToken({ ...app, fetch, clientSecret: SECRET, refreshToken: REFRESH }),
    () => [REFRESH, SECRET],
  ],
  [
    "an assertion of a client",
    async (fetch) => clientCredentials({ ...app, fetch, privateKey: (await makeKey("ES256")).pem }),
    ({ client_assertion }) => [client_assertion],
  ],
  [
    "an assertion of a service account",
    async (fetch) => {
      const private_key = (await makeKey("ES256")).pem;
      return serviceAccount({ fetch, key: { client_email: "a@example.com", private_key } });
    },
    ({ assertion }) => [assertion],
  ],
  [
    "a code and a password that the caller adds",
    (fetch) =>
      refreshToken({
        ...app,
        fetch,
        refreshToken: REFRESH,
        parameters: { code: "4/0AX4XfWh-code", password: SECRET },
      }),
    () => ["4/0AX4XfWh-code", SECRET],
  ],
];

/** A token endpoint that says what is given, for what it was sent. */
function saying(error: (sent: Sent) => Record<string, string>): { fetch: Fetch; sent: Sent[] } {
  const all: Sent[] = [];
  return {
    sent: all,
    fetch: (_url, { body, headers }) => {
      const basic = new Headers(headers).get("authorization")?.slice("Basic ".length);
      const sent = { ...Object.fromEntries(body as URLSearchParams), ...(basic !== undefined && { basic }) };
      all.push(sent);
      return Promise.resolve(Response.json(error(sent), { status: 400 }));
    },
  };
}

for (const [what, sourceFor, secretsOf] of REQUESTS) {
  test(`a token endpoint that repeats ${what} in any form gets nothing of it into an error`, async () => {
    for (const [how, form] of REPEATED_FORMS) {
      const repeat = (sent: Sent) =>
        secretsOf(sent).map((secret) => [form(secret!)].flat().join("\n")).join(" ");
      for (
        const error of [
          (sent: Sent) => ({
            error: "invalid_client",
            error_description: `What? ${repeat(sent)}`,
            error_uri: repeat(sent),
          }),
          (sent: Sent) => ({ error: repeat(sent), error_description: "What?" }),
        ]
      ) {
        const { fetch, sent } = saying(error);
        const source = await sourceFor(fetch);
        const thrown = await assertRejects(() => source(), TokenError);
        const secrets = secretsOf(sent[0]!).filter((secret) => secret !== undefined);
        assertEquals([thrown.code, secrets.length > 0], ["refused", true]);
        assert(thrown.message.includes("******"), thrown.message);
        mustHide([textOf(thrown)], { repeated: secrets, secrets, forms: [form] }, how);
      }
    }
  });
}

test("a token endpoint's error code is the same, whatever the secret looks like", async () => {
  for (const code of ["invalid_client", "invalid_grant", "temporarily_unavailable"]) {
    const { fetch } = saying(() => ({ error: code, error_description: "The client or grant is invalid" }));
    const source = clientCredentials({ ...app, fetch, clientSecret: "my-invalid_temporary_client_grant" });
    const { error, message } = await assertRejects(() => source(), TokenError);
    assertEquals(error, code);
    assert(message.endsWith(`${code}: The ******** or grant is ********`), message);
  }
});
