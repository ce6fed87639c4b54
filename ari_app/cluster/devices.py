"""On which machines a line is signed in, each as a device of its own, and which machine is to be the next."""

from __future__ import annotations

from collections.abc import Iterable

from ari_app.cluster.members import SILENT_S, Member

DEVICES = 2
SIGNED_IN, WANTED, LEFT = "signed in", "wanted", "left"
"""What a machine says of a line's device: it has one; it has none, and would be signed in; or it has none, and that is
a person's matter. It says nothing of a line that it would not be signed in for (any more)."""
GONE_S = 600.0
"""A machine that has been silent for so long has no device any more that counts: a restart takes less."""


def is_next(line: str, own: str, members: Iterable[tuple[Member, float]], devices: int) -> bool:
    """Whether the machine ``own``, which wants a device of a line, is to get one now, so that ``devices`` have one.

    ``members``: each machine, and for how many seconds it has been silent.
    """
    others = [(each, silent_s) for each, silent_s in members if each.machine != own and silent_s < GONE_S]
    if not any(_word(each, line) == SIGNED_IN and silent_s < SILENT_S for each, silent_s in others):
        return False  # there is nobody who could accept it
    words = {each.machine: _word(each, line) for each, _ in others}
    places = devices - sum(word not in ("", WANTED) for word in words.values())
    wanting = sorted([own, *(machine for machine, word in words.items() if word == WANTED)])
    return own in wanting[: max(0, places)]


def _word(member: Member, line: str) -> str:
    """An earlier version, which does not say, may have one."""
    return LEFT if member.devices is None else member.devices.get(line, "")
