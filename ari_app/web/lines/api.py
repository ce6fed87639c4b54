"""Lines: what is set for them, their status, and what an administrator does with them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, field_serializer

from ari_app.calls.registry import CallRefused
from ari_app.i18n import Message
from ari_app.lines.health import StatusLight
from ari_app.lines.settings import LineExists, LineSettings, NoSuchLine, SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.peers import MalformedDestination
from ari_app.telegram.setup import Step, StepState, StepView
from ari_app.telegram.texts import Language, TemplateError, TextName
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.lines import preview
from ari_app.web.ui.render import translator_of

Number = Annotated[str, Field(pattern=r"^\+[0-9]{5,15}$", examples=["+79990000001"])]
TEMPLATE_LENGTH = 10_000


class LineAnswer(BaseModel):
    """How a line is: whether it takes part, its calls now, and for how many more seconds it leaves requests out."""

    number: str
    name: str
    state: Literal["connecting", "signed out", "ready"]
    user_id: int | None = Field(description="Its Telegram id, once it has been signed in.")
    calls: int
    max_calls: int
    pauses: list["PauseAnswer"]
    lights: "LightsAnswer"


class PauseAnswer(BaseModel):
    """A kind of request (its TL name) that Telegram limits, seconds left, and Telegram's own word."""

    request: str
    seconds: float
    reason: str


class LightAnswer(BaseModel):
    """Red: sign-in or a setting is needed; orange: waiting for a service; green: connected; grey: off, by choice.

    ``since``: a Unix time.
    """

    colour: Literal["red", "orange", "green", "grey"]
    sentence: str
    since: float


class LightsAnswer(BaseModel):
    """A line's three."""

    calls: LightAnswer
    client: LightAnswer
    bot: LightAnswer


class LineSettingsAnswer(LineSettings):
    """What is set for a line; of a secret only that it is set."""

    api_hash: Literal["set"] | None = None  # type: ignore[assignment]

    @field_serializer("api_hash", when_used="json")
    def _hidden(self, secret: object) -> Literal["set"] | None:  # type: ignore[override]
        return "set" if secret else None


class LineChange(RootModel[dict[str, JsonValue]]):
    """A JSON Merge Patch (RFC 7396) of the line's settings: null is the default."""


class SetUp(BaseModel):
    """What to do for an account."""

    model_config = ConfigDict(extra="forbid")

    steps: list[Step] = Field(min_length=1, max_length=len(Step))


class StepAnswer(BaseModel):
    """Something that a new account needs; impossible: not from here, and the sentence says where."""

    step: Step
    state: StepState
    sentence: str


class TestCall(BaseModel):
    """Whom to call: + and digits, @name, or a Telegram id."""

    model_config = ConfigDict(extra="forbid")

    destination: str = Field(min_length=1, max_length=64, examples=["+79990000002"])


class BegunCall(BaseModel):
    """A call that has begun."""

    id: str


class PreviewedText(BaseModel):
    """One of the texts, as somebody is about to set it."""

    model_config = ConfigDict(extra="forbid")

    language: Language
    name: TextName
    template: str = Field(max_length=TEMPLATE_LENGTH)


class Drawn(BaseModel):
    """What a text looks like for a made-up person.

    ``wrote``: what they wrote before; ``text``: the line's message, with its ``buttons``; ``answer``: what pops up.
    """

    sender: str
    text: str
    wrote: str
    buttons: list[str]
    answer: str


async def list_lines(asked: Asked) -> list[LineAnswer]:
    """All lines, in the order in which they were added."""
    return [_line(asked, line.number) for line in asked.services.lines]


async def add_line(asked: Asked, body: LineSettings) -> LineAnswer:
    """A new one; it has to be signed in then."""
    await asked.services.lines.add(body)
    return _line(asked, body.number)


async def get_line(asked: Asked, number: Number) -> LineAnswer:
    """How one line is."""
    return _line(asked, number)


async def get_line_settings(asked: Asked, number: Number) -> LineSettingsAnswer:
    """What is set for one line."""
    return _settings(asked, asked.services.lines.settings(number))


async def change_line(asked: Asked, number: Number, body: LineChange) -> LineSettingsAnswer:
    """Change some of it."""
    return _settings(asked, await asked.services.lines.change(number, body.root, asked.read))


async def remove_line(asked: Asked, number: Number) -> None:
    """Remove a line with all that it has here."""
    await asked.services.lines.remove(number)


async def get_lights(asked: Asked, number: Number) -> LightsAnswer:
    """A line's status."""
    return _status(asked, number)


async def look_at_set_up(asked: Asked, number: Number) -> list[StepAnswer]:
    """What the account needs besides being signed in, and whether it is done."""
    return _steps(asked, await asked.services.account_setup.look(number))


async def set_up_line(asked: Asked, number: Number, body: SetUp) -> list[StepAnswer]:
    """Do some of it."""
    return _steps(asked, await asked.services.account_setup.carry_out(number, body.steps))


async def reset_line(asked: Asked, number: Number) -> None:
    """Remove a line's session and what it has learnt; its settings stay."""
    await asked.services.lines.reset(number)


async def log_out_line(asked: Asked, number: Number) -> None:
    """Sign a line's session out for good; its settings stay."""
    await asked.services.lines.log_out(number)


async def make_test_call(asked: Asked, number: Number, body: TestCall) -> BegunCall:
    """Ring the line's extension, and then call somebody on Telegram."""
    its = asked.services
    begun = BegunCall(id=await its.dispatcher.test_call(its.lines.line(number), body.destination))
    notes_of(asked.request).subject = f"{number} → {body.destination}"
    return begun


async def preview_text(asked: Asked, number: Number, body: PreviewedText) -> Drawn:
    """What a text would look like; nothing is changed."""
    settings, installation = asked.services.lines.settings(number), asked.services.installation.settings
    shown = preview.preview(settings, installation, body.language, body.name, body.template)
    return Drawn(
        sender=shown.sender, text=shown.text, wrote=shown.wrote, buttons=list(shown.buttons), answer=shown.answer
    )


def _settings(asked: Asked, settings: LineSettings) -> LineSettingsAnswer:
    asked.answers_version(version_of(settings))
    return LineSettingsAnswer.model_construct(**dict(settings))


def _line(asked: Asked, number: str) -> LineAnswer:
    its = asked.services
    line = its.lines.line(number)
    return LineAnswer(
        number=number,
        name=line.name,
        state=line.state.value,
        user_id=line.user_id,
        calls=its.registry.calls_per_line()[number],
        max_calls=line.max_calls,
        pauses=[
            PauseAnswer(request=request, seconds=seconds, reason=word)
            for request, (seconds, word) in line.pauses.items()
        ],
        lights=_status(asked, number),
    )


def _status(asked: Asked, number: str) -> LightsAnswer:
    status = asked.services.statuses.status(asked.services.lines.line(number))

    def shown(light: StatusLight) -> LightAnswer:
        sentence = told(asked, light.sentence)
        return LightAnswer(colour=light.colour.value, sentence=sentence, since=light.since)

    return LightsAnswer(calls=shown(status.asterisk), client=shown(status.account), bot=shown(status.bot))


def _steps(asked: Asked, views: list[StepView]) -> list[StepAnswer]:
    return [StepAnswer(step=view.step, state=view.state, sentence=told(asked, view.sentence)) for view in views]


def told(asked: Asked, sentence: Message) -> str:
    """A sentence in the asker's language."""
    return translator_of(asked.request)(sentence)


UNKNOWN: dict[int, Any] = {404: NoSuchLine}

operations = (
    Operation("GET", "/api/lines", list_lines, "All lines"),
    Operation(
        "POST",
        "/api/lines",
        add_line,
        "Add a line",
        status=201,
        errors={409: LineExists, 422: SettingRefused},
    ),
    Operation("GET", "/api/lines/{number}", get_line, "One line", errors=UNKNOWN),
    Operation("DELETE", "/api/lines/{number}", remove_line, "Remove a line", errors=UNKNOWN),
    Operation(
        "GET",
        "/api/lines/{number}/settings",
        get_line_settings,
        "What is set for a line",
        errors=UNKNOWN,
        versioned=True,
    ),
    Operation(
        "PATCH",
        "/api/lines/{number}/settings",
        change_line,
        "Change what is set for a line",
        errors={404: NoSuchLine, 412: SettingsChanged, 422: SettingRefused},
        versioned=True,
    ),
    Operation("GET", "/api/lines/{number}/lights", get_lights, "A line's lights", errors=UNKNOWN),
    Operation(
        "GET",
        "/api/lines/{number}/setup",
        look_at_set_up,
        "What a line's account needs",
        errors={404: NoSuchLine, 409: TelegramError},
    ),
    Operation(
        "POST",
        "/api/lines/{number}/setup",
        set_up_line,
        "Set a line's account up",
        errors={404: NoSuchLine, 409: TelegramError},
    ),
    Operation("POST", "/api/lines/{number}/reset", reset_line, "Reset a line", errors=UNKNOWN),
    Operation(
        "POST",
        "/api/lines/{number}/logout",
        log_out_line,
        "Log a line out for good",
        errors={404: NoSuchLine, 409: TelegramError},
    ),
    Operation(
        "POST",
        "/api/lines/{number}/test-call",
        make_test_call,
        "Make a test call",
        status=201,
        errors={404: NoSuchLine, 409: (TelegramError, CallRefused), 422: MalformedDestination},
    ),
    Operation(
        "POST",
        "/api/lines/{number}/texts/preview",
        preview_text,
        "What a text would look like",
        errors={404: NoSuchLine, 422: TemplateError},
    ),
)
