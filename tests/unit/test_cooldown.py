"""What may be done so often in a time."""

from ari_app.cooldown import Rate


def test_there_is_room_again_when_the_time_is_over() -> None:
    now = 0.0
    rate = Rate(2, 10.0, clock=lambda: now)
    assert [rate.admit() for _ in range(3)] == [True, True, False]
    now = 9.0
    assert not rate.admit()
    now = 10.0
    assert [rate.admit() for _ in range(3)] == [True, True, False]
