/**
 * One OAuth 2.0 access token for all connections of a pool.
 *
 * @module
 */
import type { Auth, TokenAuth } from "../client/options.ts";
import { isWorkers } from "../sockets/runtime.ts";

type AskForToken = Exclude<TokenAuth["accessToken"], string>;

/**
 * Makes functions that provide access tokens serve many connections: each is asked once at a time, and its token is kept until a
 * server refuses it. A source of `./oauth2` keeps its token itself, until it expires; it is asked for each login.
 */
export class SharedTokens {
  readonly #shared: Map<AskForToken, AskForToken> = new Map();

  /**
   * Shares the token of some credentials.
   *
   * @param auth The credentials, not checked yet.
   * @returns The same, with another function if there is one.
   */
  in(auth: Auth): Auth {
    const { accessToken } = auth as Partial<TokenAuth>;
    if (typeof accessToken !== "function") return auth;
    let shared = this.#shared.get(accessToken);
    if (shared === undefined) this.#shared.set(accessToken, shared = share(accessToken));
    return { ...auth as TokenAuth, accessToken: shared };
  }
}

function share(ask: AskForToken): AskForToken {
  const keeps = (ask as { keepsToken?: boolean }).keepsToken !== true;
  let kept: string | undefined;
  let pending: Promise<string> | undefined;
  const renew = async (refused: string | undefined): Promise<string> => {
    try {
      const token = await (refused === undefined ? ask() : ask(refused));
      if (keeps) kept = token;
      return token;
    } finally {
      pending = undefined;
    }
  };
  return (refused) => {
    // If it was refused on many connections, only the first of them finds it here.
    if (refused !== undefined && refused === kept) kept = undefined;
    if (kept !== undefined) return kept;
    // On Workers, what another request waits for may never come: that request may be over.
    return isWorkers() ? renew(refused) : pending ??= renew(refused);
  };
}
