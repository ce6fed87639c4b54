"""Whether one more call is taken on, and who is told that none is."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from ari_app.calls.call import Call
from ari_app.calls.reasons import Shortage, TooManyCalls

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AdmissionLimits:
    """Until when calls are taken on. ``max_calls``: at a time, all lines together; 0: no limit."""

    max_calls: int = 0


class Admission:
    """Takes calls on while there is room for them. ``live``, each time, are the calls that have not ended."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self.limits = limits or AdmissionLimits()
        self._refuses = False

    def refusal(self, live: Collection[Call]) -> Shortage | None:
        """Why a new call is refused; logs the first one that is, and the first one after it that is not."""
        shortage = self.shortage(live)
        if shortage and not self._refuses:
            log.warning("calls are refused: %s %s", shortage, shortage.remedy)
        elif self._refuses and not shortage:
            log.info("calls are taken on again")
        self._refuses = shortage is not None
        return shortage

    def shortage(self, live: Collection[Call]) -> Shortage | None:
        """What there is too little of for one more call."""
        most = self.limits.max_calls
        return TooManyCalls(most) if most and len(live) >= most else None

    def room(self, live: Collection[Call]) -> int | None:
        """For how many more calls; None where that is not known."""
        most = self.limits.max_calls
        return max(most - len(live), 0) if most else None
