/**
 * Where tokens are had, and what has to be asked for to send mail.
 *
 * @module
 */

/** An authorisation server. */
export interface Provider {
  /** Its token endpoint: an absolute URL, `https:`. */
  readonly tokenEndpoint: string;
  /** What assertions name as their audience. Default: the token endpoint. */
  readonly audience?: string;
  /** The scope to ask for with a refresh token. Default: what the user has consented to. */
  readonly refreshScope?: string;
  /** The scope to ask for with the credentials of a client. Default: what the server gives. */
  readonly clientScope?: string;
}

/** The scope that Gmail wants for SMTP. No narrower one will do. */
export const GOOGLE_MAIL_SCOPE = "https://mail.google.com/";

/**
 * Google: Gmail and Workspace, `smtp.gmail.com`.
 *
 * Users consent to {@linkcode GOOGLE_MAIL_SCOPE}, with `access_type=offline` for a refresh token. Google gives no tokens for
 * mail to a client alone: applications of a domain use a service account.
 */
export const google: Provider = {
  tokenEndpoint: "https://oauth2.googleapis.com/token",
};

/**
 * Microsoft 365 and Outlook.com, `smtp.office365.com`.
 *
 * Users consent to `https://outlook.office.com/SMTP.Send offline_access`. A client alone, without a user, needs the
 * permission `SMTP.SendAsApp` with the consent of an administrator, and has to be registered in Exchange
 * (`New-ServicePrincipal`, `Add-MailboxPermission`).
 *
 * @param tenant The directory: its identifier or a domain of it. Default: `"common"`, for users of any; the credentials of
 * a client need a directory by name.
 * @returns The provider.
 * @throws {TypeError} If the tenant is not a name.
 */
export function microsoft(tenant: string = "common"): Provider {
  if (!/^[\w.-]{1,255}$/.test(tenant) || /^\.+$/.test(tenant)) {
    throw new TypeError(
      `Cannot name the directory: tenant must be an identifier or a domain, it is ${JSON.stringify(tenant)}`,
    );
  }
  return {
    tokenEndpoint: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`,
    refreshScope: "https://outlook.office.com/SMTP.Send offline_access",
    clientScope: "https://outlook.office365.com/.default",
  };
}
