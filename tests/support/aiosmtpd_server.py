"""aiosmtpd_server.py PORT CERT KEY FOLDER USER PASS: takes mail and writes each message to a file of FOLDER."""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, cert, key, folder, user, password = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("reject@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        # Under its own name only when it is whole.
        part = os.path.join(folder, "..", "part")
        with open(part, "wb") as file:
            head = f"Return-Path: <{envelope.mail_from}>\nX-Original-To: {','.join(envelope.rcpt_tos)}\n"
            file.write(head.encode() + envelope.content)
        os.rename(part, os.path.join(folder, str(Handler.count)))
        return f"250 2.0.0 OK: queued as {Handler.count}"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (user.encode(), password.encode()), handled=False)


async def main():
    def connection():
        return SMTP(
            Handler(),
            hostname="mx.test",
            tls_context=context,
            authenticator=authenticate,
            enable_SMTPUTF8=True,
            data_size_limit=209715200,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", int(port))
    await server.serve_forever()


asyncio.run(main())
