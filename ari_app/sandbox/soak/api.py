"""The program's API for a soak, in which the program is killed."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from ari_app.api_client import Api, NotRunning
from ari_app.sandbox.supervisor import Supervisor


class PatientApi:
    """Asks the program that is at work; what a kill has met is asked again, of the next one.

    One at a time: of many at once each would have a connection, and the program a task for it, for as long as it is
    asked at all, since aiohttp takes connections in turn. At a quiet moment the tasks are counted.
    """

    def __init__(self, api: Api, supervisor: Supervisor) -> None:
        self._api = api
        self._supervisor = supervisor
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """As `Api.ask`; raises ProgramEnded, too."""
        while True:
            asked = await self._supervisor.at_work()
            try:
                async with self._one_at_a_time:
                    return await self._api.ask(method, path, body)
            except (aiohttp.ClientError, NotRunning):
                if self._supervisor.ready.is_set() and self._supervisor.program is asked:
                    raise
