/**
 * A Postfix that takes messages and throws them away: the tests' Postfix, which delivers to files, with another end.
 *
 * @module
 */
import { type Postfix, startPostfix as start } from "../../tests/support/postfix.ts";

/**
 * Delivery is out of the way, and nobody is held up on purpose: Postfix's own `in_flow_delay` stops a client for a
 * second when mail comes faster than it leaves. What limits is what Postfix does for each message: it writes a file in
 * its queue and syncs it. No TLS, as there are peers that start it wherever it is offered.
 */
const SETTINGS = `virtual_transport = discard:
in_flow_delay = 0
smtpd_tls_security_level = none
`;

/** Starts it on the CPU of whoever calls. */
export function startPostfix(): Promise<Postfix> {
  return start(SETTINGS);
}
