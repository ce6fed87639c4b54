"""How an ending is told to the dialplan, to SIP and to Telegram."""

import pytest
from telethon.tl import types

from ari_app.calls import outcome
from ari_app.calls.outcome import Cause, Direction, Status
from ari_app.calls.reasons import EndedOnTelegram
from ari_app.telegram import errors
from ari_app.telegram.phone import Discarded, DiscardReason
from media.types import MediaLost

IN, OUT = Direction.IN, Direction.OUT


@pytest.mark.parametrize("reason", [*DiscardReason, None])
def test_every_reason_of_telegrams_has_a_status_and_a_cause(reason: DiscardReason | None) -> None:
    refused = outcome.telegram_ended(Discarded(reason, 0), OUT, talking=False)
    assert refused.status in {Status.BUSY, Status.NOANSWER, Status.UNAVAILABLE}
    assert outcome.telegram_ended(Discarded(reason, 5), OUT, talking=True).status is Status.ANSWER
    assert outcome.telegram_ended(Discarded(reason, 0), IN, talking=False).status is Status.CANCEL


@pytest.mark.parametrize("direction", [IN, OUT])
@pytest.mark.parametrize("talking", [True, False])
def test_who_moves_on_to_a_group_call_has_answered(direction: Direction, talking: bool) -> None:
    moved = Discarded.of(types.PhoneCallDiscardReasonMigrateConferenceCall("slug"), 7)
    ending = outcome.telegram_ended(moved, direction, talking)
    assert (ending.status, ending.cause) == (Status.ANSWER, Cause.NORMAL_CLEARING)
    assert ending.reason == EndedOnTelegram("moved on to a group call")


@pytest.mark.parametrize("cause", range(128))
@pytest.mark.parametrize("talking", [True, False])
@pytest.mark.parametrize("direction", [IN, OUT])
def test_every_cause_has_a_reason_for_telegram(cause: int, talking: bool, direction: Direction) -> None:
    ending = outcome.asterisk_ended(cause, direction, talking)
    assert ending.cause == (cause or 16)
    if talking:
        assert (ending.status, ending.discard) == (Status.ANSWER, DiscardReason.HANGUP)
    elif direction is OUT:
        assert (ending.status, ending.discard) == (Status.CANCEL, DiscardReason.MISSED)
    else:
        assert ending.discard is not DiscardReason.HANGUP


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (errors.NotFound("x"), Status.NOTFOUND, 1),
        (errors.Limited("x", 30), Status.LIMITED, 42),
        (errors.Frozen("x"), Status.RESTRICTED, 21),
        (errors.SignedOut("x"), Status.UNAVAILABLE, 38),
        (errors.Unreachable("x"), Status.ERROR, 38),
        (MediaLost("x"), Status.ERROR, 38),
        (ZeroDivisionError("x"), Status.ERROR, 38),
    ],
)
def test_an_error_ends_a_call(error: Exception, status: Status, cause: int) -> None:
    ending = outcome.failed(error)
    assert (ending.status, ending.cause) == (status, cause)
    assert "x" in ending.detail
