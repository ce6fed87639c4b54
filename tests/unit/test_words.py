"""What pages call the states and ends of calls."""

import json

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import EndedByPbx
from ari_app.web.ui import words
from tests.integration.web_calls import a_call


def test_everything_has_a_name() -> None:
    assert set(words.STATES) == set(CallState)
    assert set(words.DIRECTIONS) == set(Direction)
    assert set(outcome.STATUSES) == set(outcome.Status)


def test_why_a_call_ended() -> None:
    assert str(words.ending(a_call(1, 0.0, reason=""))) == ""
    assert str(words.ending(a_call(1, 0.0, reason="ended by the PBX (cause 16)"))) == "Ended by the PBX (cause 16)."
    assert (
        str(words.ending(a_call(1, 0.0, reason=json.dumps(EndedByPbx(16).as_data())))) == "Ended by the PBX (cause 16)."
    )
    assert str(words.ending(a_call(1, 0.0, reason='{"type": "Melted"}'))) == '{"type": "Melted"}'
