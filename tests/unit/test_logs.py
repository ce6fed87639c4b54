"""What a log entry about a line or a call says, and has as fields."""

import logging

import pytest

from ari_app.logs import call_log, line_log

log = logging.getLogger(__name__)


def test_an_entry_names_its_line_or_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line_log(log, "+79990000001").info("%d calls", 2)
    call_log(log, 77).warning("over")
    line, call = caplog.records
    assert (line.getMessage(), line.__dict__["line"]) == ("line +79990000001: 2 calls", "+79990000001")
    assert (call.getMessage(), call.__dict__["call"]) == ("call 77: over", "77")
    assert line.funcName == "test_an_entry_names_its_line_or_call"
