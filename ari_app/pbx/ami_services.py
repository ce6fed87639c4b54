"""What AMI's requests do."""

from __future__ import annotations

from dataclasses import dataclass

from ari_app.calls.registry import CallRegistry
from ari_app.pbx.placing import CallPlacer
from ari_app.pbx.services import PbxServices
from ari_app.reports.audit import Actor, AuditLog
from ari_app.telegram.profile import Target

ACTIONS = {"TelegramSend": "text sent", "TelegramCall": "call placed", "TelegramHangup": "call ended"}
"""As the page's own actions are called."""


@dataclass(frozen=True)
class AmiServices:
    """`Requestable`, by the program's own parts."""

    services: PbxServices
    placer: CallPlacer
    registry: CallRegistry
    audit: AuditLog

    async def send(self, line: str | None, to: str, text: str) -> None:
        """Send a text to a person."""
        await self.services.send(line, to, text)

    async def call(self, line: str | None, to: str, target: Target) -> str:
        """Ring somebody in the PBX, then call a person; the call's id."""
        return await self.placer.place(line, to, target)

    def hang_up(self, call_id: str) -> bool:
        """End a call; False where there is no such one."""
        return self.registry.hang_up(call_id)

    def record(self, user: str, request: str, subject: str) -> None:
        """Tell the audit log that a request of a User was carried out."""
        self.audit.record(Actor("AMI", user), ACTIONS[request], subject)
