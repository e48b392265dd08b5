/**
 * What to write here instead of the options and handlers of other servers: smtp-server, smtp-protocol, aiosmtpd and Haraka.
 *
 * @module
 */
import type { OptionHints } from "../core/option_names.ts";

const SECOND = "in the second argument of serve()";
const NO_NAMES = "leave it out: names of clients are not looked up";
const ONE_CERTIFICATE = "leave it out: there is one certificate, for all of its names";
const CLIENT_CERTIFICATES =
  "use tls.caCerts, and tls.clientCertificate: clients must then show a certificate";
const PEM = "use tls.cert and tls.key: PEM, not encrypted";
const NOT_OFFERED = "leave it out: the extension is not offered";
const NO_PROXY = "leave it out; serveSocket() serves a connection that another program has accepted";

/** For the options of a server. */
export const SERVER_HINTS: OptionHints = {
  address: "use hostname",
  authMethods: `leave it out: PLAIN and LOGIN are offered, for the handler auth ${SECOND}`,
  authOptional: "leave it out: nobody has to log in unless requireAuth is set",
  authRequiredMessage: "leave it out",
  auth_required: "use requireAuth",
  auth_require_tls: "use allowInsecureAuth",
  backlog: "leave it out",
  banner: `use the handler connect ${SECOND}: it returns a Reply of 220`,
  ca: "use tls.caCerts",
  caCerts: "use tls.caCerts",
  cert: "use tls.cert",
  closeTimeout: "use timeouts.shutdown",
  command_size_limit: "use maxLineLength",
  component: "leave it out",
  data_size_limit: "use maxMessageSize",
  disableReverseLookup: NO_NAMES,
  disabledCommands: "use hide, with the keywords of extensions",
  enable_SMTPUTF8: 'leave it out, or use hide: ["SMTPUTF8"]',
  handlers: "they are the second argument of serve()",
  heloResponse: `use the handler greet ${SECOND}: it returns a Reply of 250`,
  hide8BITMIME: 'use hide: ["8BITMIME"]',
  hideDSN: NOT_OFFERED,
  hideENHANCEDSTATUSCODES: 'use hide: ["ENHANCEDSTATUSCODES"]',
  hidePIPELINING: 'use hide: ["PIPELINING"]',
  hideREQUIRETLS: NOT_OFFERED,
  hideSMTPUTF8: 'use hide: ["SMTPUTF8"]',
  hideSTARTTLS: 'use hide: ["STARTTLS"], which also refuses it, or security: "none"',
  hideSize: 'use hide: ["SIZE"]',
  host: "use hostname",
  ident: `use the handler connect ${SECOND}: it returns a Reply of 220`,
  ignoredHosts: "leave it out: nothing is logged",
  key: "use tls.key",
  lenientAddressParsing: "use lenientAddresses",
  listen: "use hostname and port",
  lmtp: "leave it out: LMTP is not served",
  logger: "leave it out: use onError, and log in the handlers",
  maxAllowedUnauthenticatedCommands: "use maxUnauthenticatedCommands",
  maxClients: "use maxConnections",
  maxCommandLength: "use maxLineLength",
  name: "use serverName",
  needsUpgrade: 'use security: "tls"',
  passphrase: PEM,
  pfx: PEM,
  rejectOversized: "leave it out: a message above maxMessageSize is always refused",
  rejectUnauthorized: CLIENT_CERTIFICATES,
  requestCert: CLIENT_CERTIFICATES,
  require_starttls: "use requireTls",
  requireTLS: "use requireTls",
  resolver: NO_NAMES,
  secure: 'use security: "tls" instead of true; false is "starttls" with tls, else "none"',
  secured: 'use serveSocket(), with a socket whose secureTransport is "on"',
  server_hostname: "use serverName",
  size: "use maxMessageSize",
  sniOptions: ONE_CERTIFICATE,
  SNICallback: ONE_CERTIFICATE,
  socketTimeout: "use timeouts.command and timeouts.data",
  ssl_context: "use tls, with cert and key",
  startTls: 'use security: "starttls", with tls',
  starttls: 'use security: "starttls", with tls',
  timeout: "use timeouts.command and timeouts.data",
  tls_context: "use tls, with cert and key",
  useProxy: NO_PROXY,
  useXClient: NOT_OFFERED,
  useXForward: NOT_OFFERED,
};

/** For the certificate. */
export const TLS_HINTS: OptionHints = {
  ca: "use tls.caCerts",
  certificate: "use tls.cert",
  passphrase: PEM,
  pfx: PEM,
  privateKey: "use tls.key",
  rejectUnauthorized: CLIENT_CERTIFICATES,
  requestCert: CLIENT_CERTIFICATES,
  SNICallback: ONE_CERTIFICATE,
};

/** For the time limits. */
export const TIMEOUT_HINTS: OptionHints = {
  close: "use timeouts.shutdown",
  handshake: "use timeouts.tls",
  idle: "use timeouts.command",
  socket: "use timeouts.command and timeouts.data",
};

/** For the handlers. */
export const HANDLER_HINTS: OptionHints = {
  data: "use message",
  ehlo: "use greet",
  handle_AUTH: "use auth",
  handle_DATA: "use message",
  handle_EHLO: "use greet",
  handle_HELO: "use greet",
  handle_MAIL: "use mail",
  handle_RCPT: "use rcpt",
  handle_RSET: "use reset",
  helo: "use greet",
  onAuth: "use auth",
  onClose: "use close",
  onConnect: "use connect",
  onData: "use message",
  onMail: "use mail",
  onMailFrom: "use mail",
  onMessage: "use message",
  onRcpt: "use rcpt",
  onRcptTo: "use rcpt",
  onSecure: "use greet: session.tls tells of TLS",
};
