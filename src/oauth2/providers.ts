/**
 * The authorisation servers of Google and Microsoft, and the scopes that sending mail needs there.
 *
 * @module
 */

/** An authorisation server. */
export interface Provider {
  /** The token endpoint: an absolute URL, `https:`. */
  readonly tokenEndpoint: string;
  /** The audience of assertions. Default: the token endpoint. */
  readonly audience?: string;
  /** The scope to request with a refresh token. Default: everything that the user has consented to. */
  readonly refreshScope?: string;
  /** The scope to request with client credentials. Default: the server decides. */
  readonly clientScope?: string;
}

/** The scope that Gmail requires for SMTP. No narrower scope is enough. */
export const GOOGLE_MAIL_SCOPE = "https://mail.google.com/";

/**
 * Google: Gmail and Workspace, `smtp.gmail.com`.
 *
 * Users consent to {@linkcode GOOGLE_MAIL_SCOPE}, with `access_type=offline` for a refresh token. Google issues no tokens for
 * mail on client credentials alone: an application that sends mail for a domain uses a service account.
 */
export const google: Provider = {
  tokenEndpoint: "https://oauth2.googleapis.com/token",
};

/**
 * Microsoft 365 and Outlook.com, `smtp.office365.com`.
 *
 * Users consent to `https://outlook.office.com/SMTP.Send offline_access`. An application without a user needs the
 * permission `SMTP.SendAsApp` with an administrator's consent, and must be registered in Exchange (`New-ServicePrincipal`,
 * `Add-MailboxPermission`).
 *
 * @param tenant The directory: its identifier or one of its domains. Default: `"common"`, for users of any directory;
 * client credentials need a specific one.
 * @returns The provider.
 * @throws {TypeError} If the tenant is neither an identifier nor a domain.
 */
export function microsoft(tenant: string = "common"): Provider {
  if (!/^[\w.-]{1,255}$/.test(tenant) || /^\.+$/.test(tenant)) {
    throw new TypeError(
      `Cannot create a provider: tenant must be an identifier or a domain, the current value is ${
        JSON.stringify(tenant)
      }`,
    );
  }
  return {
    tokenEndpoint: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`,
    refreshScope: "https://outlook.office.com/SMTP.Send offline_access",
    clientScope: "https://outlook.office365.com/.default",
  };
}
