"""Faults on demand: requests that are refused, or answered late, also after they were carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


class Faults:
    """The faults that are set up and not used up."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set a fault up; earlier ones are used first."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def strike(
        self, method: str, phone: str | None, peers: Callable[[], set[str]], *, carried_out: bool = False
    ) -> float:
        """What the faults do to a request of `phone` for one of `peers`: how long to wait before it is answered.

        `carried_out`: whether it has had its effect by now.

        Raises the fault's error when it is to be refused. A delay and a refusal may hit the same request.
        """
        delay_s, refused = 0.0, None
        for fault in list(self._faults):
            if fault.method not in (method, ANY_METHOD) or (fault.phone is not None and fault.phone != phone):
                continue
            if fault.carried_out is not carried_out or (fault.peer is not None and fault.peer not in peers()):
                continue
            if fault.error is not None and refused is not None:
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self._faults.remove(fault)
            delay_s += fault.delay_s
            refused = refused or fault.error
        if isinstance(refused, str):
            raise RpcError(refused)
        if refused is not None:
            raise refused.with_traceback(None)
        return delay_s
