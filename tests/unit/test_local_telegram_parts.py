"""Parts of the local Telegram with no network: framing, keys, errors, faults, the state file."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
import rsa
from telethon.tl import functions, types

from ari_app.sandbox.telegram import RpcError, crypto
from ari_app.sandbox.telegram.faults import Fault, Faults
from ari_app.sandbox.telegram.handshake import Handshake, HandshakeError
from ari_app.sandbox.telegram.privacy import Audience, Privacy
from ari_app.sandbox.telegram.store import Store, digits
from ari_app.sandbox.telegram.tl import method_name, read, write
from ari_app.sandbox.telegram.transport import Abridged, Codec, Full, Intermediate, TransportError

ANNA, BORIS = "79990000001", "79990000002"


@pytest.mark.parametrize("codec", [Full, Abridged, Intermediate])
@pytest.mark.parametrize("size", [4, 500, 504, 508, 512, 70_000, 300_000])
async def test_framing_there_and_back(codec: type[Codec], size: int) -> None:
    packets = [os.urandom(size) for _ in range(3)]
    sender, receiver, stream = codec(), codec(), asyncio.StreamReader()
    stream.feed_data(b"".join(sender.encode(packet) for packet in packets))
    assert [await receiver.read(stream) for _ in packets] == packets


async def test_a_damaged_packet_is_noticed() -> None:
    framed = bytearray(Full().encode(b"data"))
    framed[9] ^= 1
    stream = asyncio.StreamReader()
    stream.feed_data(bytes(framed))
    with pytest.raises(TransportError, match="checksum"):
        await Full().read(stream)


async def test_an_absurd_length_is_refused() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(b"\xff\xff\xff\x7f")
    with pytest.raises(TransportError, match="bytes was announced"):
        await Intermediate().read(stream)


def test_messages_are_encrypted_for_one_direction() -> None:
    key, plain = os.urandom(256), os.urandom(100)
    packet = crypto.encrypt(key, plain, crypto.CLIENT)
    assert crypto.decrypt(key, packet)[:100] == plain
    with pytest.raises(crypto.DamagedMessage):
        crypto.decrypt(key, crypto.encrypt(key, plain, crypto.SERVER))
    with pytest.raises(crypto.DamagedMessage):
        crypto.decrypt(key, packet[:-1] + bytes([packet[-1] ^ 1]))


def test_the_rsa_key_is_kept_and_decrypts() -> None:
    key = crypto.RsaKey.new()
    assert crypto.RsaKey.from_bytes(key.to_bytes()) == key
    public = rsa.PublicKey.load_pkcs1(key.public_pem.encode())
    plain = os.urandom(crypto.RSA_PLAIN_BYTES)
    block = pow(int.from_bytes(plain, "big"), public.e, public.n).to_bytes(256, "big")
    assert key.decrypt(block) == plain
    assert public.n.bit_length() == crypto.RSA_BITS


async def test_a_key_exchange_out_of_order_is_refused() -> None:
    kept: list[bytes] = []
    handshake = Handshake(crypto.RsaKey.new(), kept.append)
    early = functions.SetClientDHParamsRequest(nonce=1, server_nonce=2, encrypted_data=bytes(16))
    with pytest.raises(HandshakeError, match="nonces"):
        await handshake.answer(bytes(20) + bytes(early))
    with pytest.raises(HandshakeError, match="unencrypted"):
        await handshake.answer(bytes(20) + bytes(functions.help.GetConfigRequest()))
    assert kept == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("FLOOD_WAIT_30", 420),
        ("SLOWMODE_WAIT_5", 420),
        ("PEER_FLOOD", 400),
        ("USER_PRIVACY_RESTRICTED", 403),
        ("USER_IS_BLOCKED", 403),
        ("SESSION_PASSWORD_NEEDED", 401),
        ("AUTH_KEY_DUPLICATED", 406),
        ("CALL_OCCUPY_FAILED", 500),
        ("NOT_IN_ANY_LIST", 400),
    ],
)
def test_the_code_follows_from_the_name(name: str, code: int) -> None:
    assert RpcError(name).code == code
    assert str(RpcError(name)) == name


def test_method_names() -> None:
    assert method_name(functions.phone.RequestCallRequest) == "phone.requestCall"
    assert method_name(functions.PingRequest(1)) == "ping"


@pytest.mark.parametrize("value", [True, False, [types.UserEmpty(1), types.UserEmpty(2)], types.DataJSON("{}")])
def test_what_is_written_can_be_read(value: object) -> None:
    assert read(write(value)) == value


def test_faults_are_used_in_order_and_used_up() -> None:
    faults = Faults()
    once = Fault("phone.requestCall", ANNA, None, 1, error="PEER_FLOOD")
    faults.add(once)
    faults.add(replace(once, error="FLOOD_WAIT_3"))
    faults.add(Fault("*", None, BORIS, None, delay_s=0.5))
    for error in ("PEER_FLOOD", "FLOOD_WAIT_3"):
        with pytest.raises(RpcError, match=error):
            faults.strike("phone.requestCall", ANNA, set)
    assert faults.strike("phone.requestCall", ANNA, set) == 0
    assert faults.strike("phone.discardCall", ANNA, lambda: {BORIS}) == 0.5


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def test_accounts_are_kept_and_updated(tmp_path: Path) -> None:
    first = Store(tmp_path / "state.db")
    anna = first.add_user("+7 (999) 000-00-01", "Анна", "", "Anna", "ru")
    key, access_hash = first.rsa_key, first.access_hash(1, 2)
    first.close()
    second = Store(tmp_path / "state.db")
    try:
        assert second.user_by_phone(ANNA) == second.user_by_username("@anna") == anna
        assert (second.rsa_key, second.access_hash(1, 2)) == (key, access_hash)
        assert second.access_hash(2, 1) != access_hash
        renamed = second.add_user(ANNA, "Аня", "", None, "ru")
        assert (renamed.id, renamed.first_name) == (anna.id, "Аня")
        assert second.add_user(BORIS, "Борис", "", None, "ru").id == anna.id + 1
    finally:
        second.close()
    assert digits("+7 (999) 000-00-01") == ANNA


def test_privacy_rules(store: Store) -> None:
    try:
        anna = store.add_user(ANNA, "Анна", "", None, "ru").id
        boris = store.add_user(BORIS, "Борис", "", None, "ru").id
        privacy = Privacy(store)
        assert privacy.allows(anna, boris, "phone_call")
        assert not privacy.allows(anna, boris, "phone_number")
        store.put("contacts", {"owner": anna, "user_id": boris, "first_name": "", "last_name": ""})
        assert privacy.allows(anna, boris, "phone_number")
        privacy.set(anna, "phone_call", Audience.EVERYBODY, [], [boris])
        assert not privacy.allows(anna, boris, "phone_call")
        privacy.set(anna, "phone_call", Audience.NOBODY, [boris], [])
        assert privacy.allows(anna, boris, "phone_call")
        store.put("blocked", {"owner": anna, "user_id": boris})
        assert not privacy.allows(anna, boris, "phone_call")
        assert privacy.allows(anna, anna, "phone_call")
    finally:
        store.close()
