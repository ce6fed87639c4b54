"""chan_websocket's control messages."""

import pytest

from media.websocket import control_event


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("MEDIA_START connection_id:e226e283 channel:WebSocket/x format:opus optimal_frame_size:0", "MEDIA_START"),
        ("MEDIA_XOFF", "MEDIA_XOFF"),
        ('{"event": "MEDIA_XON", "channel_id": "1"}', "MEDIA_XON"),
        ("{broken", ""),
        ("  ", ""),
    ],
)
def test_control_events(text: str, event: str) -> None:
    assert control_event(text) == event
