"""What is set up in an account after it was signed in: looked at, carried out, and looked at again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Audience, Device, LocalTelegram, device, new_device
from ari_app.telegram.account import MACHINE
from ari_app.telegram.errors import NotFound, SignedOut, Unreachable
from ari_app.telegram.session import Session
from ari_app.telegram.setup import (
    BotFacts,
    Step,
    StepState,
    StepView,
    carry_out,
    has_dialogue,
    log_out,
    look,
)

LINE, CALLER = "+79990000001", "+79990000002"
BOT = BotFacts("calls_bot", inline=True)
DONE, OPEN, IMPOSSIBLE = StepState.DONE, StepState.OPEN, StepState.IMPOSSIBLE


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(LINE, "Линия", privacy={"phone_call": Audience.CONTACTS})
        running.add_user(CALLER, "Анна")
        running.add_bot(BOT.username)
        yield running


@pytest.fixture
async def line(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, LINE, device_model="Astergram", request_retries=0, raise_last_call_error=True) as it:
        yield it


def states(views: Iterable[StepView]) -> dict[Step, StepState]:
    return {view.step: view.state for view in views}


def view_of(views: Iterable[StepView], step: Step) -> StepView:
    return next(view for view in views if view.step is step)


async def test_everything_looked_at_done_and_looked_at_again(telegram: LocalTelegram, line: Device) -> None:
    async with device(telegram, LINE, device_model="Desktop"):
        before = await look(Session(line.client), BOT)
        assert [view.step for view in before] == list(Step)
        assert states(before) == {
            Step.CALLS_FROM_EVERYBODY: OPEN,
            Step.NUMBER_SHOWN: OPEN,
            Step.BOT_DIALOGUE: OPEN,
            Step.INLINE_MODE: DONE,
            Step.OTHER_DEVICES_SILENT: OPEN,
        }
        assert "Desktop" in str(view_of(before, Step.OTHER_DEVICES_SILENT).sentence)
        assert all(str(view.sentence) for view in before)
        assert states(await carry_out(Session(line.client), list(Step), BOT)) == dict.fromkeys(Step, DONE)
        assert states(await look(Session(line.client), BOT)) == dict.fromkeys(Step, DONE)
    assert await has_dialogue(Session(line.client), BOT.username)


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.INLINE_MODE])
async def test_one_step_alone(telegram: LocalTelegram, line: Device, step: Step) -> None:
    async with device(telegram, LINE):
        after = states(await carry_out(Session(line.client), [step], BOT))
    assert after.pop(step) is DONE
    assert after.pop(Step.INLINE_MODE) is DONE
    assert set(after.values()) == {OPEN}


async def test_what_is_done_has_its_effect(telegram: LocalTelegram, line: Device) -> None:
    async with device(telegram, CALLER) as caller:
        found = await caller(functions.contacts.ResolvePhoneRequest(LINE))
        assert found.users[0].phone is None
        await carry_out(Session(line.client), [Step.CALLS_FROM_EVERYBODY, Step.NUMBER_SHOWN], BOT)
        found = await caller(functions.contacts.ResolvePhoneRequest(LINE))
        assert found.users[0].phone == LINE[1:]
        assert not (await caller(functions.users.GetFullUserRequest(found.users[0]))).full_user.phone_calls_private


async def test_an_exception_to_everybody_is_not_everybody(telegram: LocalTelegram, line: Device) -> None:
    telegram.set_privacy(LINE, "phone_call", Audience.EVERYBODY, disallow=[CALLER])
    assert view_of(await look(Session(line.client), BOT), Step.CALLS_FROM_EVERYBODY).state is OPEN
    views = await carry_out(Session(line.client), [Step.CALLS_FROM_EVERYBODY], BOT)
    assert view_of(views, Step.CALLS_FROM_EVERYBODY).state is DONE


async def test_a_silenced_device_does_not_ring_and_the_line_does(telegram: LocalTelegram, line: Device) -> None:
    async with device(telegram, LINE) as registry, device(telegram, CALLER) as caller:
        await carry_out(Session(line.client), list(Step), BOT)
        (own, other) = sorted(telegram.devices(LINE), key=lambda each: bool(each.call_requests_disabled))
        assert (own.device_model, own.call_requests_disabled) == ("Astergram", False)
        assert other.call_requests_disabled
        await call(caller)
        assert isinstance((await line.next(types.UpdatePhoneCall)).phone_call, types.PhoneCallRequested)
        await caller.client.send_message(await line_of(caller), "after the call")
        await registry.next(types.UpdateNewMessage)  # so what was sent before it is there
        assert registry.waiting(types.UpdatePhoneCall) == 0


async def line_of(caller: Device) -> Any:
    return (await caller(functions.contacts.ResolvePhoneRequest(LINE))).users[0]


async def call(caller: Device) -> Any:
    protocol = types.PhoneCallProtocol(92, 92, ["9.0.0"], udp_p2p=True, udp_reflector=True)
    request = functions.phone.RequestCallRequest(
        user_id=await line_of(caller), g_a_hash=secrets.token_bytes(32), protocol=protocol
    )
    return await caller(request)


async def test_the_machines_of_a_cluster_go_on_ringing(telegram: LocalTelegram) -> None:
    async with (
        device(telegram, LINE, device_model=f"{MACHINE}a") as a,
        device(telegram, LINE, device_model=f"{MACHINE}b") as b,
        device(telegram, LINE, device_model="Astergram"),
        device(telegram, LINE, device_model="Desktop"),
    ):
        before = view_of(await look(Session(a.client), BOT), Step.OTHER_DEVICES_SILENT)
        assert (before.state, before.sentence.values) == (OPEN, {"devices": "Astergram, Desktop"})
        after = view_of(await carry_out(Session(a.client), [Step.OTHER_DEVICES_SILENT], BOT), Step.OTHER_DEVICES_SILENT)
        assert (after.state, after.sentence.values) == (DONE, {"devices": "Astergram on b"})
        devices = (await b(functions.account.GetAuthorizationsRequest())).authorizations
        assert {each.device_model for each in devices if each.call_requests_disabled} == {"Astergram", "Desktop"}


async def test_alone_it_silences_machines_too(telegram: LocalTelegram, line: Device) -> None:
    async with device(telegram, LINE, device_model=f"{MACHINE}b"):
        assert view_of(await look(Session(line.client), BOT), Step.OTHER_DEVICES_SILENT).state is OPEN


async def test_telegram_refuses_to_silence_a_device(telegram: LocalTelegram, line: Device) -> None:
    telegram.refuse("account.changeAuthorizationSettings", "FRESH_RESET_AUTHORISATION_FORBIDDEN", LINE)
    async with device(telegram, LINE):
        views = await carry_out(Session(line.client), [Step.OTHER_DEVICES_SILENT], BOT)
        refused = view_of(views, Step.OTHER_DEVICES_SILENT)
        assert refused.state is OPEN
        assert "FRESH_RESET_AUTHORISATION_FORBIDDEN" in str(refused.sentence)
        await carry_out(Session(line.client), [Step.OTHER_DEVICES_SILENT], BOT)
        assert view_of(await look(Session(line.client), BOT), Step.OTHER_DEVICES_SILENT).state is DONE


async def test_a_refusal_of_one_step_leaves_the_others(telegram: LocalTelegram, line: Device) -> None:
    telegram.refuse("account.setPrivacy", "FLOOD_WAIT_30", LINE)
    views = await carry_out(Session(line.client), list(Step), BOT)
    refused = view_of(views, Step.CALLS_FROM_EVERYBODY)
    assert refused.state is OPEN and "30 s" in str(refused.sentence)
    assert view_of(views, Step.BOT_DIALOGUE).state is DONE


async def test_a_question_that_telegram_refuses(telegram: LocalTelegram, line: Device) -> None:
    telegram.refuse("account.getAuthorizations", "FLOOD_WAIT_30", LINE)
    views = await look(Session(line.client), BOT)
    assert "30 s" in str(view_of(views, Step.OTHER_DEVICES_SILENT).sentence)


async def test_without_a_bot_with_a_wrong_one_and_with_inline_mode_off(line: Device) -> None:
    for bot, named in ((None, "No bot"), (BotFacts("nobody_bot", inline=True), "@nobody_bot")):
        views = await carry_out(Session(line.client), list(Step), bot)
        refused = view_of(views, Step.BOT_DIALOGUE)
        assert refused.state is IMPOSSIBLE and named in str(refused.sentence)
    off = view_of(await look(Session(line.client), BotFacts(BOT.username, inline=False)), Step.INLINE_MODE)
    assert off.state is IMPOSSIBLE and "/setinline" in str(off.sentence)


async def test_the_dialogue_with_the_bot(telegram: LocalTelegram, line: Device) -> None:
    assert not await has_dialogue(Session(line.client), BOT.username)
    telegram.refuse("contacts.resolveUsername", "FLOOD_WAIT_3600", LINE, times=None)  # the session remembers the bot
    assert not await has_dialogue(Session(line.client), f"@{BOT.username}")
    await carry_out(Session(line.client), [Step.BOT_DIALOGUE], BOT)
    assert await has_dialogue(Session(line.client), BOT.username)
    messages = await line.client.get_messages(BOT.username, limit=9)
    assert [message.message for message in messages] == ["/start"]
    await carry_out(Session(line.client), [Step.BOT_DIALOGUE], BOT)
    assert len(await line.client.get_messages(BOT.username, limit=9)) == 1
    await line.client.delete_dialog(BOT.username)
    assert not await has_dialogue(Session(line.client), BOT.username)


async def test_a_bot_that_nobody_has(line: Device) -> None:
    with pytest.raises(NotFound, match="nobody_bot"):
        await has_dialogue(Session(line.client), "nobody_bot")


async def test_no_answer(telegram: LocalTelegram, line: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session.invoke, "__defaults__", (0.2,))
    telegram.delay("account.setPrivacy", 5.0, LINE)
    with pytest.raises(Unreachable, match="setPrivacy"):
        await carry_out(Session(line.client), list(Step), BOT)


async def test_a_session_that_is_signed_out(telegram: LocalTelegram) -> None:
    async with device(telegram, LINE, receive_updates=False) as line:
        telegram.revoke_sessions(LINE)
        with pytest.raises(SignedOut):
            await look(Session(line.client), BOT)
        with pytest.raises(SignedOut):
            await carry_out(Session(line.client), list(Step), BOT)


async def test_logging_out(telegram: LocalTelegram) -> None:
    async with device(telegram, LINE, receive_updates=False) as line, device(telegram, LINE, device_model="Desktop"):
        await log_out(Session(line.client))
        assert [each.device_model for each in telegram.devices(LINE)] == ["Desktop"]
        with pytest.raises(errors.AuthKeyUnregisteredError):
            await line(functions.updates.GetStateRequest())
        await log_out(Session(line.client))  # once more is no error


# The local Telegram itself


async def test_changing_the_settings_of_a_device(telegram: LocalTelegram, line: Device) -> None:
    async with device(telegram, LINE) as registry:
        (own, other) = (await line(functions.account.GetAuthorizationsRequest())).authorizations
        assert own.current and not other.current
        change = functions.account.ChangeAuthorizationSettingsRequest
        assert await line(change(other.hash, call_requests_disabled=True))
        assert (await registry(functions.account.GetAuthorizationsRequest())).authorizations[0].call_requests_disabled
        assert await line(change(other.hash))  # what is not given stays
        assert (await registry(functions.account.GetAuthorizationsRequest())).authorizations[0].call_requests_disabled
        assert await line(change(other.hash, call_requests_disabled=False))
        assert not telegram.devices(LINE)[1].call_requests_disabled
        with pytest.raises(errors.HashInvalidError):
            await line(change(1, call_requests_disabled=True))


async def test_dialogs_of_peers(telegram: LocalTelegram, line: Device) -> None:
    resolved = await line(functions.contacts.ResolvePhoneRequest(CALLER))
    caller = await line.client.get_input_entity(resolved.users[0])
    bot = await line.client.get_input_entity(BOT.username)
    await line.client.send_message(caller, "привет")
    request = functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(peer) for peer in (bot, caller)])
    answer = await line(request)
    assert [bool(dialog.top_message) for dialog in answer.dialogs] == [False, True]
    assert [message.message for message in answer.messages] == ["привет"]


async def test_how_codes_are_sent(telegram: LocalTelegram) -> None:
    async with new_device(telegram, raise_last_call_error=True, request_retries=0) as someone:
        sent = await someone.client.send_code_request(LINE)
        kinds = [(type(sent.type).__name__, sent.timeout)]
        for _ in range(2):
            sent = await someone(functions.auth.ResendCodeRequest(LINE, sent.phone_code_hash))
            kinds.append((type(sent.type).__name__, sent.timeout))
        assert kinds == [("SentCodeTypeApp", 60), ("SentCodeTypeSms", 60), ("SentCodeTypeCall", None)]
        with pytest.raises(errors.SendCodeUnavailableError):
            await someone(functions.auth.ResendCodeRequest(LINE, sent.phone_code_hash))
        await someone(functions.auth.SignInRequest(LINE, sent.phone_code_hash, telegram.login_code(LINE)))


async def test_a_url_that_is_no_qr_code(telegram: LocalTelegram) -> None:
    with pytest.raises(ValueError, match="tg://login"):
        telegram.accept_qr("tg://resolve?domain=somebody", LINE)
