"""The cryptography of MTProto 2.0 as the server sees it (https://core.telegram.org/mtproto/description)."""

from __future__ import annotations

import math
import os
import secrets
import struct
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any

import rsa
import rsa.prime
from telethon.crypto.aes import AES

from .tl import write_bytes

# The 2048-bit safe prime that Telegram uses everywhere; clients accept no other without a long check.
DH_PRIME = bytes.fromhex(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F"
    "48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37"
    "20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F64"
    "2477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4"
    "A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754"
    "FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F"
    "0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B"
)
DH_G = 3
AUTH_KEY_BYTES = 256
RSA_BITS = 2048
RSA_EXPONENT = 65537
RSA_PRIMES = 8
RSA_PLAIN_BYTES = 255
CLIENT, SERVER = 0, 8  # x in the documents: which side encrypted a message


class DamagedMessage(Exception):
    """A message that its key does not decrypt: wrong length, or a msg_key that does not match."""


@dataclass(frozen=True)
class RsaKey:
    """The server's RSA key: the modulus and the private exponent."""

    n: int
    d: int

    @classmethod
    def new(cls) -> RsaKey:
        """A fresh 2048-bit key.

        It is the product of eight primes (RFC 8017 calls that multi-prime), which are found in milliseconds where
        two large ones take a second. It keeps no secret worth more than that: the server is a sandbox.
        """
        while True:
            primes = {_prime(RSA_BITS // RSA_PRIMES) for _ in range(RSA_PRIMES)}
            n, phi = math.prod(primes), math.prod(p - 1 for p in primes)
            if n.bit_length() == RSA_BITS and math.gcd(phi, RSA_EXPONENT) == 1:
                return cls(n, pow(RSA_EXPONENT, -1, phi))

    @classmethod
    def from_bytes(cls, data: bytes) -> RsaKey:
        """The key that `to_bytes` saved."""
        half = RSA_BITS // 8
        return cls(int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big"))

    def to_bytes(self) -> bytes:
        """The key for keeping."""
        half = RSA_BITS // 8
        return self.n.to_bytes(half, "big") + self.d.to_bytes(half, "big")

    @property
    def public_pem(self) -> str:
        """The public key as PKCS#1."""
        return str(rsa.PublicKey(self.n, RSA_EXPONENT).save_pkcs1().decode())

    @property
    def fingerprint(self) -> int:
        """How a client names the key: the last 8 bytes of SHA1(n, e), as a signed long."""
        public = write_bytes(big_endian(self.n)) + write_bytes(big_endian(RSA_EXPONENT))
        return int(struct.unpack("<q", sha1(public).digest()[-8:])[0])  # noqa: S324 - the protocol's

    def decrypt(self, block: bytes) -> bytes:
        """The 255 bytes that a client encrypted: SHA1, data, random padding. Raises `DamagedMessage`."""
        plain = pow(int.from_bytes(block, "big"), self.d, self.n)
        if plain.bit_length() > 8 * RSA_PLAIN_BYTES:
            raise DamagedMessage("what a client encrypted with RSA is too long; did it use another server's key?")
        return plain.to_bytes(RSA_PLAIN_BYTES, "big")


def _prime(bits: int) -> int:
    while True:
        candidate = secrets.randbits(bits) | 0b1111 << bits - 4 | 1  # so that the product has all its bits
        if pow(2, candidate - 1, candidate) == 1 and rsa.prime.is_prime(candidate):
            return candidate


def big_endian(number: int) -> bytes:
    """A natural number as TL carries large ones: big endian, no leading zeros."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def key_id(auth_key: bytes) -> int:
    """The lower 64 bits of SHA1(auth_key), as a signed long."""
    return int(struct.unpack("<q", sha1(auth_key).digest()[-8:])[0])  # noqa: S324 - the protocol's


def encrypt(auth_key: bytes, plain: bytes, side: int = SERVER) -> bytes:
    """An encrypted message: auth_key_id, msg_key, ciphertext. `plain` begins with the salt."""
    plain += os.urandom(12 + -(len(plain) + 12) % 16)
    msg_key = sha256(auth_key[88 + side : 120 + side] + plain).digest()[8:24]
    return struct.pack("<q", key_id(auth_key)) + msg_key + ige_encrypt(plain, *_message_key(auth_key, msg_key, side))


def decrypt(auth_key: bytes, packet: bytes, side: int = CLIENT) -> bytes:
    """The plain text of an encrypted message, from its salt on. Raises `DamagedMessage`."""
    msg_key, ciphertext = packet[8:24], packet[24:]
    if not ciphertext or len(ciphertext) % 16:
        raise DamagedMessage(f"{len(ciphertext)} bytes are no whole number of AES blocks")
    plain = ige_decrypt(ciphertext, *_message_key(auth_key, msg_key, side))
    if sha256(auth_key[88 + side : 120 + side] + plain).digest()[8:24] != msg_key:
        raise DamagedMessage("the msg_key does not match what was decrypted")
    return plain


def _message_key(auth_key: bytes, msg_key: bytes, side: int) -> tuple[bytes, bytes]:
    a = sha256(msg_key + auth_key[side : side + 36]).digest()
    b = sha256(auth_key[side + 40 : side + 76] + msg_key).digest()
    return a[:8] + b[8:24] + a[24:], b[:8] + a[8:24] + b[24:]


def ige_encrypt(plain: bytes, key: bytes, iv: bytes) -> bytes:
    """AES-256-IGE; `plain` is a whole number of blocks."""
    cipher: Any = AES.encrypt_ige
    return bytes(cipher(plain, key, iv))


def ige_decrypt(ciphertext: bytes, key: bytes, iv: bytes) -> bytes:
    """AES-256-IGE."""
    cipher: Any = AES.decrypt_ige
    return bytes(cipher(ciphertext, key, iv))
