"""Scenes in which a person calls the line; the lines and the dialplan of all scenes."""

from ari_app.calls.events import (
    Bridged,
    CallEnded,
    CallOffered,
    Connected,
    DigitsDialled,
    KeypadHidden,
    KeypadHintSent,
    KeypadShown,
    MediaConnected,
    MediaTimedOut,
    PbxAnswered,
    PbxRinging,
    Resumed,
    TelegramAnswered,
    TelegramRinging,
)
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.stage import ANNA, BORIS, BOT, LINE
from ari_app.telegram.phone import DiscardReason
from tests.survival.performance import Performance, Scene

SECOND = "+79990000009"
"""Another line, which is tried first where none is asked for."""
CARD_TEXTS = {"card": "We called", "card_button": "Call me"}
LINES = (
    {
        "number": LINE,
        "context": "incoming",
        "max_calls": 4,
        "texts": {"en": CARD_TEXTS, "ru": CARD_TEXTS},
        "card": {"callback": "101@phones", "card_every_s": 0},
    },
    {"number": SECOND, "max_calls": 4, "default": True, "flood_margin_s": 0},
)
BYSTANDERS, BY_LINE, SHORTLY, ANY_LINE = "701", "702", "703", "704"
DIALPLAN = f"""
[incoming]
exten => _X.,1,Goto(${{KIND}},${{EXTEN}},1)
[dials]
exten => _X.,1,Dial(PJSIP/101,30)
 same => n,Hangup(${{HANGUPCAUSE}})
[shortly]
exten => _X.,1,Dial(PJSIP/101,1)
 same => n,Hangup(19)
[fails]
exten => _X.,1,Hangup(34)
[phones](+)
exten => {BYSTANDERS},1,Stasis(telegram,{BORIS},line={LINE})
exten => {BY_LINE},1,Stasis(telegram,{ANNA},line={LINE})
 same => n,Hangup(${{TELEGRAM_CAUSE}})
exten => {SHORTLY},1,Stasis(telegram,{ANNA},line={LINE},timeout=1)
 same => n,Hangup(${{TELEGRAM_CAUSE}})
exten => {ANY_LINE},1,Stasis(telegram,{ANNA})
 same => n,Hangup(${{TELEGRAM_CAUSE}})
"""
SHORT_WAIT = {"calls": {"connect_s": 0.5}}
"""For the audio to connect, in the scene where it does not."""


async def calls(its: Performance) -> PersonCall:
    """Anna has called, and the phone rings."""
    call = await its.anna.call(LINE)
    await its.phone.incoming()
    return call


async def answered(its: Performance) -> PersonCall:
    """Both talk."""
    call = await calls(its)
    await its.phone.answer()
    await its.connects(call)
    return call


async def in_talks(its: Performance) -> None:
    """The phone holds the call for a moment, and Anna types a digit."""
    call = await answered(its)
    await its.phone.hold()
    await its.phone.hold(False)
    await its.types("7")
    assert (await its.phone.wait_for("CALL_DTMF_START")).parameter == "7"
    await its.told(DigitsDialled)
    await its.hangs_up(call)
    await its.phone.closed()


async def in_presses(its: Performance) -> None:
    """Anna presses a key of the keypad, which goes at the end."""
    await its.bot_is_ready()
    call = await calls(its)
    await its.told(KeypadShown)
    await its.phone.answer()
    await its.connects(call)
    await (await its.anna.keypad(LINE)).click(text="5")
    assert (await its.phone.wait_for("CALL_DTMF_START")).parameter == "5"
    await its.hangs_up(call)
    await its.phone.closed()
    await its.told(KeypadHidden)


async def in_without_a_keypad(its: Performance) -> None:
    """The bot can't be used; Anna gives up."""
    its.its.stage.telegram.set_inline(BOT, False)
    try:
        call = await calls(its)
        await its.told(KeypadHintSent)
        await its.hangs_up(call, DiscardReason.MISSED)
        await its.phone.closed()
    finally:
        its.its.stage.telegram.set_inline(BOT, True)


async def in_phone_hangs_up(its: Performance) -> None:
    call = await answered(its)
    await its.phone.hangup()
    await call.ended()


async def in_declined(its: Performance) -> None:
    call = await calls(its)
    await its.phone.hangup()
    await call.ended()


async def in_given_up(its: Performance) -> None:
    call = await calls(its)
    await its.hangs_up(call, DiscardReason.MISSED)
    await its.phone.closed()


async def in_not_answered(its: Performance) -> None:
    call = await calls(its)
    await call.ended()
    await its.phone.closed()


async def in_failed(its: Performance) -> None:
    await (await its.anna.call(LINE)).ended()


async def in_without_audio(its: Performance) -> None:
    """Anna's app never connects its audio."""
    call = await calls(its)
    await its.phone.answer()
    await call.confirm(None, None, connect=False)
    await its.told(MediaTimedOut)
    await call.ended()
    await its.phone.closed()


IN = (
    Scene(
        "talks",
        in_talks,
        "ANSWER",
        16,
        (
            CallOffered,
            TelegramRinging,
            PbxRinging,
            PbxAnswered,
            Bridged,
            TelegramAnswered,
            MediaConnected,
            Connected,
            Resumed,
            DigitsDialled,
            CallEnded,
        ),
    ),
    Scene("presses", in_presses, "ANSWER", 16, (KeypadShown, KeypadHidden), last=KeypadHidden),
    Scene("hung up by the phone", in_phone_hangs_up, "ANSWER", 16, by="the phone"),
    Scene("declined", in_declined, "BUSY", 17),
    Scene("given up", in_given_up, "CANCEL", 16),
    Scene("not answered", in_not_answered, "NOANSWER", 19, kind="shortly"),
    Scene("failed", in_failed, "ERROR", 34, kind="fails"),
    Scene("without a keypad", in_without_a_keypad, "CANCEL", 16, (KeypadHintSent,), last=KeypadHintSent),
    Scene("without audio", in_without_audio, "ERROR", 38, (MediaTimedOut,), last=MediaTimedOut, configured=SHORT_WAIT),
)
"""A person calls the line."""
