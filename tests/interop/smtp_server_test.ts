import { testPeer } from "../support/peer_suite.ts";
import { smtpServerMissing, startSmtpServer } from "../support/smtp_server.ts";

testPeer({ name: "smtp-server", missing: smtpServerMissing(), start: startSmtpServer, starttls: 0, tls: 1 });
