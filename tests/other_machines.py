"""The other machines of a cluster, as this one tells them what is set."""

from ari_app.cluster.shared_settings import MachineSettings, NotShared
from ari_app.i18n import message


class OtherMachines:
    """``away``: they can't be told; ``told``: what they were, each by its name; ``left_out``: not understood here."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[tuple[str, str | None]] = []
        self.left_out = set[str]()

    def check(self, name: str) -> None:
        if name in self.left_out:
            raise NotShared(message("Left out."))

    async def keep(self, name: str, value: str | None) -> None:
        if self.away:
            raise NotShared(message("Away."))
        self.told.append((name, value))

    async def run(self, settings: MachineSettings) -> None: ...
