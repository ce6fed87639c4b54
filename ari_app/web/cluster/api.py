"""The machines of a cluster, which lines each holds, and moving one."""

from pydantic import BaseModel, ConfigDict, Field

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.control import ClusterControl, ForgetRefused, MoveRefused
from ari_app.cluster.devices import SIGNED_IN
from ari_app.cluster.live_calls import LiveCalls, MachineCall
from ari_app.i18n import Message, message
from ari_app.lines.settings import NoSuchLine
from ari_app.web.calls.api import CallId, UnknownCall
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation


class OnlyOne(Exception):
    """There is no cluster."""

    sentence = message("This is the only machine: there is no [cluster] in the configuration file.")


class MachineSilent(Exception):
    """Another machine does not answer."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class MachineAnswer(BaseModel):
    """One machine, as it has last said."""

    machine: str
    there: bool = Field(description="Whether it still says something.")
    silent_s: float
    version: str
    lines: list[str] = Field(description="The numbers of the lines that it holds.")
    calls: int
    draining: bool
    bot: bool = Field(description="Whether it fetches what is meant for the bot.")
    takes: list[str] = Field(description="The numbers of the lines to which it could take a call now.")
    places_for: list[str] = Field(description="The machines for whose phones it can place calls, by their Asterisk.")
    devices: list[str] = Field(description="The numbers of the lines that are signed in on it.")


class ClusterAnswer(BaseModel):
    """The cluster, as `machine`, which answers, sees it. `trouble`: why NATS does not answer; null where it does."""

    machine: str
    trouble: str | None
    machines: list[MachineAnswer]


class Move(BaseModel):
    """A line, and the machine that is to hold it."""

    model_config = ConfigDict(extra="forbid")

    line: str = Field(examples=["+79990000001"])
    machine: str = Field(examples=["pbx-2"])


class MachineName(BaseModel):
    """A machine."""

    model_config = ConfigDict(extra="forbid")

    machine: str = Field(examples=["pbx-2"])


class MachineCallsAnswer(BaseModel):
    """The calls of a machine now; null where it does not answer."""

    machine: str
    calls: list[MachineCall] | None


class MachineCallId(BaseModel):
    """A call of another machine."""

    model_config = ConfigDict(extra="forbid")

    machine: str = Field(examples=["pbx-2"])
    id: CallId


async def get_cluster_calls(asked: Asked) -> list[MachineCallsAnswer]:
    """The calls that other machines carry now; they are asked for them. Those of this one: GET /api/calls/live."""
    return [MachineCallsAnswer.model_validate(vars(each)) for each in await _calls(asked).elsewhere()]


async def hang_up_elsewhere(asked: Asked, body: MachineCallId) -> None:
    """End a live call of another machine."""
    calls = _calls(asked)
    notes_of(asked.request).subject = f"{body.id} {body.machine}"
    try:
        ended = await calls.hang_up(body.machine, body.id)
    except EngineAway as error:
        raise MachineSilent(
            message("Machine {machine} does not answer: {error}.", machine=body.machine, error=str(error))
        ) from error
    if not ended:
        raise UnknownCall(message("There is no live call {id}.", id=body.id))


async def get_cluster(asked: Asked) -> ClusterAnswer:
    """Which machines there are; 404 where there is no cluster."""
    its = _cluster(asked)
    machines = [
        MachineAnswer(
            machine=member.machine,
            there=is_there,
            silent_s=round(silent_s, 1),
            version=member.version,
            lines=list(member.lines) if is_there else [],
            calls=member.calls,
            draining=member.draining,
            bot=member.bot and is_there,
            takes=list(member.takes) if is_there else [],
            places_for=list(member.reaches) if is_there else [],
            devices=[line for line, word in (member.devices or {}).items() if word == SIGNED_IN],
        )
        for member, silent_s, is_there in its.machines()
    ]
    return ClusterAnswer(machine=its.machine, trouble=its.trouble, machines=machines)


async def move_line(asked: Asked, body: Move) -> ClusterAnswer:
    """Have another machine hold a line; calls stay where they are. Waits until it does."""
    its = _cluster(asked)
    notes_of(asked.request).subject = f"{body.line} {body.machine}"
    asked.services.lines.settings(body.line)
    await its.move(body.line, body.machine)
    return await get_cluster(asked)


async def forget_machine(asked: Asked, body: MachineName) -> ClusterAnswer:
    """Have all machines know one no more that is gone for good; one that is back after all is known again."""
    its = _cluster(asked)
    notes_of(asked.request).subject = body.machine
    await its.forget(body.machine)
    return await get_cluster(asked)


def _cluster(asked: Asked) -> ClusterControl:
    if its := asked.services.cluster:
        return its
    raise OnlyOne


def _calls(asked: Asked) -> LiveCalls:
    if its := asked.services.cluster_calls:
        return its
    raise OnlyOne


operations = (
    Operation(
        "GET",
        "/api/cluster/calls",
        get_cluster_calls,
        "The live calls of the other machines",
        errors={404: OnlyOne},
    ),
    Operation(
        "POST",
        "/api/cluster/hangup",
        hang_up_elsewhere,
        "End a live call of another machine",
        errors={404: (OnlyOne, UnknownCall), 503: MachineSilent},
    ),
    Operation("GET", "/api/cluster", get_cluster, "The machines of the cluster", errors={404: OnlyOne}),
    Operation(
        "POST",
        "/api/cluster/move",
        move_line,
        "Have another machine hold a line",
        errors={404: (OnlyOne, NoSuchLine), 409: MoveRefused},
    ),
    Operation(
        "POST",
        "/api/cluster/forget",
        forget_machine,
        "Forget a machine that is gone for good",
        errors={404: OnlyOne, 409: ForgetRefused},
    ),
)
