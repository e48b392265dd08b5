/**
 * What to write here instead of the options of other libraries: nodemailer, denomailer, upyo, emailjs.
 *
 * @module
 */
import type { OptionHints } from "../core/option_names.ts";

const POOL = "use SmtpPool, or leave it out: call send() again, and messages share the connection";
const COMPOSE = "make a message with compose() of @streams/smtp/compose";
const EACH_TIMEOUT = "use timeouts.command, mail, rcpt, data, block and end";
const PROVIDER = "use hostname, port and security, as the provider gives them";
const TRACE = "use trace: consoleTrace(), or logger";
const TOKEN =
  "use auth.accessToken, and refreshToken() or clientCredentials() of @streams/smtp/oauth2 for tokens that expire";

/** For the options of a client. */
export const CLIENT_HINTS: OptionHints = {
  allowInternalNetworkInterfaces: "leave it out: all addresses of a name are tried",
  authMethod: "use auth.mechanisms",
  ca: "use tls.caCerts",
  cert: "use tls.cert",
  client: "leave it out",
  component: "leave it out",
  connection: "write hostname, port and auth without it; for a connection that is open use socket",
  connectionTimeout: "use timeouts.connect",
  customAuth: "use auth.mechanism",
  debug: TRACE,
  direct: "use the hostname of the server that receives",
  disableFileAccess: "leave it out: no files are read",
  disableUrlAccess: "leave it out: no URLs are fetched",
  dkim: "sign the message, and send it as it is",
  dnsTimeout: "use timeouts.connect",
  domain: "use clientName",
  dsn: "use it in the envelope",
  forceAuth: "leave it out: with auth the client logs in or fails",
  from: "use it in the envelope",
  getSocket: "use socket: a function that opens one",
  greetingTimeout: "use timeouts.greeting",
  host: "use hostname",
  html: COMPOSE,
  ignoreTLS: 'use security: "none"',
  key: "use tls.key",
  lmtp: 'use protocol: "lmtp"',
  localName: "use clientName",
  maxConnections: POOL,
  maxMessages: POOL,
  maxRequeues: POOL,
  maxResponseSize: "use maxReplyLength",
  name: "use clientName",
  opportunisticTLS: 'use security: "opportunistic"',
  pass: "use auth: { user, pass }",
  password: "use auth: { user, pass }",
  pool: POOL,
  poolSize: POOL,
  proxy: "use socket: a function that connects through the proxy, as in examples/proxy_socks5.ts",
  rateDelta: "use SmtpPool, with its option rateLimit",
  rateLimit: "use SmtpPool",
  rejectUnauthorized: "use tls.verify",
  requireTLS: 'use security: "starttls"',
  secure: 'use security: "tls" instead of true, "starttls" instead of false',
  secured: 'use socket: one whose secureTransport is "on"',
  serverName: "use tls.serverName",
  servername: "use tls.serverName",
  service: PROVIDER,
  socketCloseTimeout: "use timeouts.quit",
  socketTimeout: EACH_TIMEOUT,
  ssl: 'use security: "tls"',
  startTls: 'use security: "starttls"',
  starttls: 'use security: "starttls"',
  subject: COMPOSE,
  text: COMPOSE,
  to: "use it in the envelope",
  transactionLog: TRACE,
  url: PROVIDER,
  user: "use auth: { user, pass }",
  username: "use auth: { user, pass }",
  useSecureTransport: 'use security: "tls"',
};

/** For the time limits. */
export const TIMEOUT_HINTS: OptionHints = {
  connection: "use timeouts.connect",
  greet: "use timeouts.greeting",
  socket: EACH_TIMEOUT,
};

/** For the options of a message. */
export const SEND_HINTS: OptionHints = {
  dsn: "use it in the envelope",
  envelope: "it is the first argument of send()",
  from: "use it in the envelope",
  priority: "use it in the envelope",
  requireTLS:
    "use security in connect(), or requireTls in the envelope, which is for all servers on the path",
  requireTls: "use it in the envelope",
  size: "use it in the envelope",
  smtpUtf8: "use it in the envelope",
  timeout: "use signal: AbortSignal.timeout(milliseconds)",
  timeouts: "use it in connect()",
  to: "use it in the envelope",
  transfer: "use it in connect()",
  use8BitMime: 'use body: "8bitmime" in the envelope',
};

/** For the credentials. */
export const AUTH_HINTS: OptionHints = {
  accessUrl: TOKEN,
  clientId: TOKEN,
  clientSecret: TOKEN,
  credentials: "write user and pass without it",
  expires: TOKEN,
  method: "use auth.mechanisms",
  oauth2: TOKEN,
  password: "use auth.pass",
  privateKey: TOKEN,
  provisionCallback: "use auth.accessToken: a function that provides it",
  refreshToken: TOKEN,
  serviceClient: "use auth.accessToken: serviceAccount() of @streams/smtp/oauth2",
  type: "leave it out: pass is for a password, accessToken for OAuth 2.0",
  username: "use auth.user",
};

/** For an envelope. */
export const ENVELOPE_HINTS: OptionHints = {
  attachments: COMPOSE,
  bcc: "use to: the envelope names all who get the message, and no one else",
  cc: "use to: the envelope names all who get the message, and no one else",
  content: COMPOSE,
  date: COMPOSE,
  envelope: "write from and to without it",
  headers: COMPOSE,
  html: COMPOSE,
  mailFrom: "use from",
  messageId: COMPOSE,
  raw: "give it as the message, the argument after the envelope",
  rcpt: "use to",
  rcptTo: "use to",
  recipients: "use to",
  replyTo: COMPOSE,
  requireTLSExtensionEnabled: "use requireTls",
  sender: "use from",
  subject: COMPOSE,
  text: COMPOSE,
  use8BitMime: 'use body: "8bitmime"',
};

/** For a recipient. */
export const RECIPIENT_HINTS: OptionHints = {
  email: "use address",
  name: "leave it out: names are in the header of the message",
};
