"""cyrus_scram_server.py PORT CERT KEY USERS: logs in with SCRAM of the Cyrus SASL library, bound to the certificate.

With TLS 1.2 alone, so that each client binds by tls-server-end-point: Python exports no keying material.
"""

import asyncio
import ctypes
import hashlib
import ssl
import sys

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, auth_mechanism

port, cert, key, users = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.maximum_version = ssl.TLSVersion.TLSv1_2

SASL_OK, SASL_CONTINUE = 0, 1
SASL_CB_GETOPT, SASL_CHANNEL_BINDING = 1, 21

library = ctypes.CDLL("libsasl2.so.2")
library.sasl_errdetail.restype = ctypes.c_char_p


class Callback(ctypes.Structure):
    _fields_ = [("id", ctypes.c_ulong), ("proc", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class ChannelBinding(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("critical", ctypes.c_int),
        ("len", ctypes.c_ulong),
        ("data", ctypes.c_char_p),
    ]


OPTIONS = {b"pwcheck_method": b"auxprop", b"auxprop_plugin": b"sasldb", b"sasldb_path": users.encode()}


@ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.POINTER(ctypes.c_uint),
)
def get_option(_context, _plugin, option, result, length):
    value = OPTIONS.get(option)
    result[0] = value
    if length:
        length[0] = len(value or b"")
    return SASL_OK


callbacks = (Callback * 2)(Callback(SASL_CB_GETOPT, ctypes.cast(get_option, ctypes.c_void_p), None), Callback())
with open(cert) as file:
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).digest()
binding = ChannelBinding(b"tls-server-end-point", 0, len(digest), digest)
if library.sasl_server_init(callbacks, b"smtp") != SASL_OK:
    sys.exit("Cyrus SASL does not start")


class Exchange:
    """One login."""

    def __init__(self):
        self.conn = ctypes.c_void_p()
        status = library.sasl_server_new(
            b"smtp", b"mx.test", b"mx.test", None, None, None, 0, ctypes.byref(self.conn)
        )
        assert status == SASL_OK, status
        status = library.sasl_setprop(self.conn, SASL_CHANNEL_BINDING, ctypes.byref(binding))
        assert status == SASL_OK, status

    def step(self, text, mechanism=None):
        out, length = ctypes.c_void_p(), ctypes.c_uint()
        result = (ctypes.byref(out), ctypes.byref(length))
        if mechanism is not None:
            status = library.sasl_server_start(self.conn, mechanism, text, len(text), *result)
        else:
            status = library.sasl_server_step(self.conn, text, len(text), *result)
        if status not in (SASL_OK, SASL_CONTINUE):
            print(library.sasl_errdetail(self.conn), file=sys.stderr, flush=True)
        return status, ctypes.string_at(out, length.value) if out.value else b""


async def authenticate(server, args):
    import base64

    exchange = Exchange()
    status, challenge = exchange.step(base64.b64decode(args[1]), args[0].encode())
    while status == SASL_CONTINUE:
        response = await server.challenge_auth(challenge)
        if response is MISSING:
            return AuthResult(success=False)
        status, challenge = exchange.step(response)
    if status == SASL_OK and challenge:
        await server.challenge_auth(challenge)
    return AuthResult(success=status == SASL_OK, handled=False, auth_data=args[0])


class Handler:
    @auth_mechanism("SCRAM-SHA-256")
    async def auth_scram(self, server, args):
        return await authenticate(server, args)

    @auth_mechanism("SCRAM-SHA-256-PLUS")
    async def auth_scram_plus(self, server, args):
        return await authenticate(server, args)


async def main():
    def connection():
        return SMTP(
            Handler(),
            hostname="mx.test",
            tls_context=context,
            auth_exclude_mechanism=["PLAIN", "LOGIN"],
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", int(port))
    await server.serve_forever()


asyncio.run(main())
