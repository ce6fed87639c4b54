"""What an account needs besides being signed in: each step can be looked at, and carried out for its owner.

core.telegram.org/api/privacy, core.telegram.org/api/bots and core.telegram.org/api/auth
"""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

from telethon.tl import functions, types

from ari_app.i18n import Message, message
from ari_app.telegram.account import MACHINE
from ari_app.telegram.errors import NotFound, SignedOut, TelegramError, Unreachable
from ari_app.telegram.peers import bot_peer
from ari_app.telegram.session import Session


class Step(Enum):
    """What is to be done, in the order in which it is shown."""

    CALLS_FROM_EVERYBODY = "calls from everybody"
    NUMBER_SHOWN = "number shown"
    BOT_DIALOGUE = "bot dialogue"
    INLINE_MODE = "inline mode"
    OTHER_DEVICES_SILENT = "other devices silent"


class StepState(Enum):
    """Whether a step is done; ``IMPOSSIBLE``: not from here, and the sentence says where."""

    DONE = "done"
    OPEN = "open"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class StepView:
    """How a step stands, and what that means or what to do."""

    step: Step
    state: StepState
    sentence: Message


@dataclass(frozen=True)
class BotFacts:
    """What the installation's bot says about itself (the Bot API's getMe)."""

    username: str
    inline: bool


async def look(session: Session, bot: BotFacts | None) -> list[StepView]:
    """How every step stands, for a session that is signed in; ``bot``: None where there is none, or it can't be used.

    Telegram is asked four times (five for a bot that the account has not met); raises TelegramError where it does not
    answer. A step whose question it refuses is OPEN, with Telegram's word.
    """
    return [await _looked_at(step, session, bot) for step in Step]


async def carry_out(session: Session, steps: Collection[Step], bot: BotFacts | None) -> list[StepView]:
    """Do these steps, and look at every one again; where Telegram refuses, the view of that step says so.

    Raises TelegramError where Telegram does not answer.
    """
    refused: dict[Step, StepView] = {}
    for step in Step:
        if step not in steps or step not in DO or (step is Step.BOT_DIALOGUE and bot is None):
            continue
        try:
            await DO[step](session, bot)
        except TelegramError as error:
            if _is_lost(error):
                raise
            refused[step] = StepView(step, StepState.OPEN, _refusal(error))
    views = await look(session, bot)
    return [refused.get(view.step, view) if view.state is StepState.OPEN else view for view in views]


async def has_dialogue(session: Session, bot_username: str) -> bool:
    """Whether the account has a chat with the bot; raises TelegramError, NotFound where nobody is called so.

    One request, messages.getPeerDialogs with one peer: some hundred bytes each way, and none of the requests that
    Telegram limits. For a bot that this session has never met it is preceded by contacts.resolveUsername: once, or each
    time for a name that nobody has.
    """
    peer = await bot_peer(session, bot_username)
    request = functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(peer)])
    answer = await session.invoke(request)
    return any(dialog.top_message for dialog in answer.dialogs)


async def log_out(session: Session) -> None:
    """Sign the session out for good (auth.logOut); it can't be used again. Raises TelegramError.

    A session that was signed out already is as good.
    """
    try:
        await session.invoke(functions.auth.LogOutRequest())
    except SignedOut:
        return


# Looking


async def _looked_at(step: Step, session: Session, bot: BotFacts | None) -> StepView:
    try:
        state, sentence = await LOOK[step](session, bot)
    except TelegramError as error:
        if _is_lost(error):
            raise
        state, sentence = StepState.OPEN, _refusal(error)
    return StepView(step, state, sentence)


Found = tuple[StepState, Message]

NO_BOT = message("No bot is set up: enter its token first.")


async def _look_at_calls(session: Session, bot: BotFacts | None) -> Found:
    if await _is_for_everybody(session, types.InputPrivacyKeyPhoneCall()):
        return StepState.DONE, message("Everybody can call this account.")
    return StepState.OPEN, message("Not everybody can call this account: let everybody, or such calls never get here.")


async def _look_at_number(session: Session, bot: BotFacts | None) -> Found:
    if await _is_for_everybody(session, types.InputPrivacyKeyPhoneNumber()):
        return StepState.DONE, message("Everybody sees this account's number.")
    return StepState.OPEN, message("Not everybody sees this account's number: show it, so that people know who calls.")


async def _look_at_dialogue(session: Session, bot: BotFacts | None) -> Found:
    if bot is None:
        return StepState.IMPOSSIBLE, NO_BOT
    try:
        if await has_dialogue(session, bot.username):
            return StepState.DONE, message("The account has a chat with @{bot}.", bot=bot.username)
    except NotFound:
        return StepState.IMPOSSIBLE, message("There is no @{bot} on Telegram: check the bot.", bot=bot.username)
    return StepState.OPEN, message("The account has no chat with @{bot} yet: start one.", bot=bot.username)


async def _look_at_inline_mode(session: Session, bot: BotFacts | None) -> Found:
    if bot is None:
        return StepState.IMPOSSIBLE, NO_BOT
    if bot.inline:
        return StepState.DONE, message("Inline mode of @{bot} is on.", bot=bot.username)
    return StepState.IMPOSSIBLE, message(
        "Inline mode of @{bot} is off, and only its owner can switch it on: write /setinline to @BotFather.",
        bot=bot.username,
    )


async def _look_at_devices(session: Session, bot: BotFacts | None) -> Found:
    ringing, machines = await _ringing_devices(session)
    if ringing:
        return StepState.OPEN, message(
            "Other devices of this account ring, too, and their Decline ends a call for everybody: {devices}.",
            devices=_names(ringing),
        )
    if machines:
        said = message("No other device of this account rings but the cluster's: {devices}.", devices=_names(machines))
        return StepState.DONE, said
    return StepState.DONE, message("No other device of this account rings.")


def _names(devices: list[Any]) -> str:
    return ", ".join(sorted({device.device_model or device.app_name for device in devices}))


# Doing


async def _let_everybody_call(session: Session, bot: BotFacts | None) -> None:
    await _allow_everybody(session, types.InputPrivacyKeyPhoneCall())


async def _show_number(session: Session, bot: BotFacts | None) -> None:
    await _allow_everybody(session, types.InputPrivacyKeyPhoneNumber())


async def _start_bot(session: Session, bot: BotFacts | None) -> None:
    assert bot is not None
    if await has_dialogue(session, bot.username):
        return
    peer = await bot_peer(session, bot.username)
    user = types.InputUser(peer.user_id, peer.access_hash)
    request = functions.messages.StartBotRequest(bot=user, peer=peer, start_param="", random_id=secrets.randbits(63))
    await session.invoke(request)


async def _silence_devices(session: Session, bot: BotFacts | None) -> None:
    for device in (await _ringing_devices(session))[0]:
        request = functions.account.ChangeAuthorizationSettingsRequest(device.hash, call_requests_disabled=True)
        await session.invoke(request)


LOOK: dict[Step, Callable[[Session, BotFacts | None], Awaitable[Found]]] = {
    Step.CALLS_FROM_EVERYBODY: _look_at_calls,
    Step.NUMBER_SHOWN: _look_at_number,
    Step.BOT_DIALOGUE: _look_at_dialogue,
    Step.INLINE_MODE: _look_at_inline_mode,
    Step.OTHER_DEVICES_SILENT: _look_at_devices,
}
DO: dict[Step, Callable[[Session, BotFacts | None], Awaitable[None]]] = {
    Step.CALLS_FROM_EVERYBODY: _let_everybody_call,
    Step.NUMBER_SHOWN: _show_number,
    Step.BOT_DIALOGUE: _start_bot,
    Step.OTHER_DEVICES_SILENT: _silence_devices,
}


# Telegram


async def _is_for_everybody(session: Session, key: Any) -> bool:
    """Whether a privacy rule admits everybody, with nobody excepted (account.getPrivacy)."""
    answer = await session.invoke(functions.account.GetPrivacyRequest(key))
    kinds = {type(rule) for rule in answer.rules}
    excepting = {types.PrivacyValueDisallowUsers, types.PrivacyValueDisallowChatParticipants}
    return types.PrivacyValueAllowAll in kinds and not kinds & excepting


async def _allow_everybody(session: Session, key: Any) -> None:
    request = functions.account.SetPrivacyRequest(key, [types.InputPrivacyValueAllowAll()])
    await session.invoke(request)


async def _ringing_devices(session: Session) -> tuple[list[Any], list[Any]]:
    """Those besides this one; and, apart from them, the other machines of the cluster."""
    devices = (await session.invoke(functions.account.GetAuthorizationsRequest())).authorizations
    here = next((device for device in devices if device.current), None)
    ringing, machines = list[Any](), list[Any]()
    for device in devices:
        if device.current or device.call_requests_disabled or device.password_pending:
            continue
        (machines if here and _are_machines(here, device) else ringing).append(device)
    return ringing, machines


def _are_machines(here: Any, device: Any) -> bool:
    models = (here.device_model, device.device_model)
    return here.api_id == device.api_id and all(model.startswith(MACHINE) for model in models)


def _is_lost(error: TelegramError) -> bool:
    """Whether nothing more can be asked."""
    return isinstance(error, Unreachable | SignedOut)


def _refusal(error: TelegramError) -> Message:
    return message("{refusal}. Try again in a while, or do it in the account's own Telegram app.", refusal=str(error))
