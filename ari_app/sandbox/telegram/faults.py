"""Faults on demand: requests that are refused, or answered late or wrong, and updates that get lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .rpc import RpcError

ANY_METHOD = "*"


@dataclass
class Fault:
    """What happens to requests that match; `left` counts down, None is for ever."""

    method: str
    phone: str | None
    peer: str | None
    left: int | None
    error: str | Exception | None = None  # a name is an error of MTProto
    delay_s: float = 0.0
    carried_out: bool = False  # strikes after the request has had its effect
    answer: Callable[[Any], Any] | None = None  # makes another answer of the right one; bytes go out as they are


@dataclass
class Loss:
    """Updates about calls that never arrive: a type of PhoneCall's, or messageActionPhoneCall."""

    kind: type
    phone: str
    left: int | None


class Faults:
    """The faults that are set up and not used up."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._losses: list[Loss] = []

    def add(self, fault: Fault) -> None:
        """Set a fault up; earlier ones are used first."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget every fault."""
        self._faults.clear()
        self._losses.clear()

    def lose(self, loss: Loss) -> None:
        """Set up what gets lost."""
        self._losses.append(loss)

    def loses(self, thing: Any, phone: str) -> bool:
        """Whether an update with this in it gets lost on its way to an account's devices."""
        loss = next((each for each in self._losses if each.phone == phone and isinstance(thing, each.kind)), None)
        if loss is None:
            return False
        if loss.left is not None:
            loss.left -= 1
            if loss.left <= 0:
                self._losses.remove(loss)
        return True

    def answer(self, method: str, phone: str | None, peers: Callable[[], set[str]], right: Any) -> Any:
        """What is answered to a request that has been carried out: the right result, unless a fault makes another."""
        for fault in list(self._faults):
            if fault.answer is not None and _concerns(fault, method, phone, peers):
                self._use(fault)
                return fault.answer(right)
        return right

    def strike(
        self, method: str, phone: str | None, peers: Callable[[], set[str]], *, carried_out: bool = False
    ) -> float:
        """What the faults do to a request of `phone` for one of `peers`: how long to wait before it is answered.

        `carried_out`: whether it has had its effect by now.

        Raises the fault's error when it is to be refused. A delay and a refusal may hit the same request.
        """
        delay_s, refused = 0.0, None
        for fault in list(self._faults):
            if fault.answer is not None or fault.carried_out is not carried_out:
                continue
            if not _concerns(fault, method, phone, peers) or (fault.error is not None and refused is not None):
                continue
            self._use(fault)
            delay_s += fault.delay_s
            refused = refused or fault.error
        if isinstance(refused, str):
            raise RpcError(refused)
        if refused is not None:
            raise refused.with_traceback(None)
        return delay_s

    def _use(self, fault: Fault) -> None:
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self._faults.remove(fault)


def _concerns(fault: Fault, method: str, phone: str | None, peers: Callable[[], set[str]]) -> bool:
    if fault.method not in (method, ANY_METHOD) or (fault.phone is not None and fault.phone != phone):
        return False
    return fault.peer is None or fault.peer in peers()
