"""What waits to be told to a program outside: events for AMI, for one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OutboxFigures:
    """Since the start, but for what is ``waiting`` now.

    Of ``lost`` ones too many waited; ``given_up`` ones the other side did not take.
    """

    waiting: int
    sent: int
    lost: int
    given_up: int
