"""For programs that watch this one: whether it lives, whether it can take calls, and its figures for Prometheus."""

from aiohttp import web
from aiohttp.hdrs import ACCEPT
from pydantic import BaseModel

from ari_app.i18n import Message
from ari_app.lines.health import Readiness
from ari_app.web.http.errors import HEALTH, METRICS, READY
from ari_app.web.http.operation import Asked, Operation
from ari_app.wrong import Wrong


class HealthStatus(BaseModel):
    """The program answers, and so its event loop goes on."""

    status: str = "ok"


class ReadyStatus(BaseModel):
    """Calls can be taken, by `lines_ready` of `lines`; without any line the program waits for its administrator."""

    status: str = "ready"
    lines: int
    lines_ready: int


class CannotTakeCalls(Exception):
    """Why not, each reason with its place."""

    def __init__(self, readiness: Readiness) -> None:
        self.wrong = [Wrong(where, sentence) for where, sentence in readiness.lacks.items()]
        super().__init__(str(self.sentence))

    @property
    def sentence(self) -> Message:
        """The first reason."""
        return self.wrong[0].reason


async def get_health(asked: Asked) -> HealthStatus:
    """That it answers is the answer."""
    return HealthStatus()


async def get_ready(asked: Asked) -> ReadyStatus:
    """Whether calls can be taken."""
    readiness = asked.services.statuses.readiness()
    if not readiness.ready:
        raise CannotTakeCalls(readiness)
    return ReadyStatus(lines=readiness.lines, lines_ready=readiness.ready_lines)


async def get_metrics(asked: Asked) -> web.Response:
    """All figures, in the format that the asker accepts."""
    body, media_type = await asked.services.metrics.exposition(asked.request.headers.get(ACCEPT, ""))
    return web.Response(body=body, headers={"Content-Type": media_type})


operations = (
    Operation("GET", HEALTH, get_health, "Whether the program answers"),
    Operation("GET", READY, get_ready, "Whether calls can be taken", errors={503: CannotTakeCalls}),
    Operation(
        "GET",
        METRICS,
        get_metrics,
        "Figures for Prometheus; the networks of metrics_allow need no token",
        media_type="text/plain, application/openmetrics-text",
    ),
)
