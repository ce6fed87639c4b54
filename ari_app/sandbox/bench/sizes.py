"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Impairment:
    """What a network does to packets: ``loss`` is their share that is lost, ``jitter_s`` the longest extra delay."""

    name: str
    loss: float = 0.0
    jitter_s: float = 0.0


@dataclass(frozen=True)
class Sizes:
    """Times in seconds.

    ``cost_rounds``: windows of ``window_s`` for each transport. ``echo_rounds`` calls, and of each ``talks`` of
    ``talk_s``. ``calls``: at how many at once cost is measured; from one to the next, and from the last to ``most``,
    go ``step`` more at a time, each looked at for ``hold_s``. ``rates``: calls a second, for ``rate_s``.
    ``lines``: signed in at once, idle for ``idle_s``. ``history``: calls in it, and how often each query is asked.
    ``machines``: of a cluster, each with ``machine_lines``; 0: one that is in none.
    ``lease_s``: of a line; ``hand_overs``, and ``lease_faults`` of each kind, are inflicted on who holds them.
    ``steps``: calls each way. ``lights``: whether faults are waited for.
    """

    cost_rounds: int
    window_s: float
    echo_rounds: int
    talks: int
    talk_s: float
    calls: tuple[int, ...]
    most: int
    step: int
    hold_s: float
    rates: tuple[float, ...]
    rate_s: float
    presses: int
    lines: tuple[int, ...]
    idle_s: float
    history: int
    queries: int
    impairments: tuple[Impairment, ...]
    machines: tuple[int, ...]
    machine_lines: int
    lease_s: float
    hand_overs: int
    lease_faults: int
    steps: int
    lights: bool


NONE = Impairment("nothing")
JITTER = Impairment("50 ms jitter", jitter_s=0.05)
FULL = Sizes(
    cost_rounds=3, window_s=20.0,
    echo_rounds=3, talks=3, talk_s=8.0,
    calls=(1, 5, 10, 20, 30), most=60, step=2, hold_s=4.0,
    rates=(1.0, 5.0, 10.0), rate_s=20.0,
    presses=30,
    lines=(10, 100, 1000), idle_s=60.0,
    history=1_000_000, queries=5,
    impairments=(*(Impairment(f"{loss:.0%} loss", loss) for loss in (0.01, 0.05, 0.1, 0.2)), JITTER),
    machines=(0, 1, 2, 4), machine_lines=400,
    lease_s=20.0, hand_overs=24, lease_faults=6,
    steps=10, lights=True,
)  # fmt: skip
QUICK = Sizes(
    cost_rounds=1, window_s=3.0,
    echo_rounds=1, talks=1, talk_s=3.0,
    calls=(1, 5), most=5, step=4, hold_s=2.0,
    rates=(1.0, 5.0), rate_s=2.0,
    presses=5,
    lines=(10,), idle_s=2.0,
    history=20_000, queries=2,
    impairments=(Impairment("5% loss", 0.05),),
    machines=(0, 2), machine_lines=4,
    lease_s=3.0, hand_overs=6, lease_faults=1,
    steps=1, lights=False,
)  # fmt: skip
