"""Agreeing on an authorization key, the server's side (https://core.telegram.org/mtproto/auth_key)."""

from __future__ import annotations

import asyncio
import os
import secrets
import struct
import time
from collections.abc import Awaitable, Callable
from hashlib import sha1
from typing import Any

from telethon.tl import functions, types

from . import crypto
from .tl import int128, read

# Two primes whose product a client factors in a moment; what they are does not matter.
P, Q = 1229739323, 1402015859
RETRY_LIMIT = 1 << (2048 - 64)


class HandshakeError(Exception):
    """The client did not follow the key exchange; the connection is closed."""


class Handshake:
    """One key exchange on one connection.

    Args:
        key: the server's RSA key.
        keep: stores a finished authorization key, before the client is told that it is good.
    """

    def __init__(self, key: crypto.RsaKey, keep: Callable[[bytes], None]) -> None:
        self._key = key
        self._keep = keep
        self._nonce = self._server_nonce = self._new_nonce = b""
        self._a = 0
        self._steps: dict[type, Callable[[Any], Awaitable[Any]]] = {
            functions.ReqPqRequest: self._req_pq,
            functions.ReqPqMultiRequest: self._req_pq,
            functions.ReqDHParamsRequest: self._req_dh_params,
            functions.SetClientDHParamsRequest: self._set_client_dh_params,
        }

    async def answer(self, packet: bytes) -> bytes:
        """The answer to an unencrypted packet. Raises `HandshakeError`."""
        request = read(packet[20:])
        step = self._steps.get(type(request))
        if step is None:
            if isinstance(request, types.MsgsAck):
                return b""
            raise HandshakeError(f"{type(request).__name__} was sent unencrypted; only a key exchange may be")
        body = bytes(await step(request))
        return struct.pack("<qqi", 0, _message_id(), len(body)) + body

    async def _req_pq(self, request: Any) -> Any:
        self._nonce = request.nonce.to_bytes(16, "little", signed=True)
        self._server_nonce = os.urandom(16)
        return types.ResPQ(
            nonce=request.nonce,
            server_nonce=int128(self._server_nonce),
            pq=crypto.big_endian(P * Q),
            server_public_key_fingerprints=[self._key.fingerprint],
        )

    async def _req_dh_params(self, request: Any) -> Any:
        self._check_nonces(request)
        block = await asyncio.to_thread(self._key.decrypt, request.encrypted_data)
        inner = read(block[20:])
        data = bytes(inner)
        if sha1(data).digest() != block[:20]:  # noqa: S324 - the protocol's
            raise HandshakeError("the inner data of req_DH_params has a wrong hash; was another RSA key used?")
        if (int.from_bytes(inner.p, "big"), int.from_bytes(inner.q, "big")) != (P, Q):
            raise HandshakeError("p and q are not the factors of pq")
        self._check_nonces(inner)
        self._new_nonce = inner.new_nonce.to_bytes(32, "little", signed=True)
        self._a = secrets.randbits(2048)
        prime = int.from_bytes(crypto.DH_PRIME, "big")
        g_a = await asyncio.to_thread(pow, crypto.DH_G, self._a, prime)
        answer = bytes(
            types.ServerDHInnerData(
                nonce=request.nonce,
                server_nonce=request.server_nonce,
                g=crypto.DH_G,
                dh_prime=crypto.DH_PRIME,
                g_a=crypto.big_endian(g_a),
                server_time=int(time.time()),
            )
        )
        answer = sha1(answer).digest() + answer  # noqa: S324 - the protocol's
        answer += os.urandom(-len(answer) % 16)
        return types.ServerDHParamsOk(
            nonce=request.nonce,
            server_nonce=request.server_nonce,
            encrypted_answer=crypto.ige_encrypt(answer, *self._temporary_key()),
        )

    async def _set_client_dh_params(self, request: Any) -> Any:
        self._check_nonces(request)
        if not self._a:
            raise HandshakeError("set_client_DH_params came before req_DH_params")
        plain = crypto.ige_decrypt(request.encrypted_data, *self._temporary_key())
        inner = read(plain[20:])
        if sha1(bytes(inner)).digest() != plain[:20]:  # noqa: S324 - the protocol's
            raise HandshakeError("the inner data of set_client_DH_params has a wrong hash")
        prime, g_b = int.from_bytes(crypto.DH_PRIME, "big"), int.from_bytes(inner.g_b, "big")
        if not RETRY_LIMIT <= g_b <= prime - RETRY_LIMIT:
            raise HandshakeError("g_b is outside the safe range")
        # One key in 256 begins with a zero byte. Telethon drops it, and both sides must slice the same bytes.
        auth_key = crypto.big_endian(await asyncio.to_thread(pow, g_b, self._a, prime))
        self._keep(auth_key)
        return types.DhGenOk(request.nonce, request.server_nonce, self._new_nonce_hash(auth_key))

    def _check_nonces(self, request: Any) -> None:
        if (request.nonce, request.server_nonce) != (int128(self._nonce), int128(self._server_nonce)):
            raise HandshakeError("the nonces of a key exchange changed on the way")

    def _temporary_key(self) -> tuple[bytes, bytes]:
        new, server = self._new_nonce, self._server_nonce
        first, second, third = (sha1(x).digest() for x in (new + server, server + new, new + new))  # noqa: S324
        return first + second[:12], second[12:] + third + new[:4]

    def _new_nonce_hash(self, auth_key: bytes) -> int:
        auxiliary = sha1(auth_key).digest()[:8]  # noqa: S324 - the protocol's
        return int128(sha1(self._new_nonce + b"\x01" + auxiliary).digest()[4:])  # noqa: S324


def _message_id() -> int:
    return int(time.time() * (1 << 32)) & ~3 | 1
