"""What connects an Asterisk with this installation, and what the doctor finds."""

from pydantic import BaseModel

from ari_app.doctor import TITLES, Grade, Topic
from ari_app.doctor.connect import snippets
from ari_app.doctor.dialplan import Flavour
from ari_app.web.connect.checkup import Examined, checkup_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.ui.render import translator_of


class DialplanLines(BaseModel):
    """Lines for one file, or a place to click, and what to do; `text` is empty where there is nothing to copy."""

    file: str
    todo: str
    text: str


class Found(BaseModel):
    """One finding, in the language that is asked for; `remedy` is empty where nothing is to be done."""

    topic: Topic
    title: str
    grade: Grade
    sentence: str
    remedy: str


class Examination(BaseModel):
    """What the doctor found; `at` is the Unix time when it began."""

    at: float
    problems: int
    findings: list[Found]


async def get_connect(asked: Asked, flavour: Flavour) -> list[DialplanLines]:
    """Everything to copy, in the order in which to do it."""
    translate = translator_of(asked.request)
    pieces = snippets(flavour, asked.services.doctor.surroundings())
    return [DialplanLines(file=piece.file, todo=translate(piece.todo), text=piece.text) for piece in pieces]


async def get_examination(asked: Asked) -> Examination:
    """The last examination, if it was in the last minutes; else a new one."""
    return _told(asked, await checkup_of(asked.request).examined())


async def examine(asked: Asked) -> Examination:
    """A new examination; changes nothing."""
    return _told(asked, await checkup_of(asked.request).examined(anew=True))


def _told(asked: Asked, examined: Examined) -> Examination:
    translate = translator_of(asked.request)
    findings = [
        Found(
            topic=each.topic,
            title=translate(TITLES[each.topic]),
            grade=each.grade,
            sentence=translate(each.sentence),
            remedy=translate(each.remedy) if each.remedy else "",
        )
        for each in examined.findings
    ]
    return Examination(at=examined.at, problems=examined.problems, findings=findings)


operations = (
    Operation("GET", "/api/connect/{flavour}", get_connect, "What connects an Asterisk, to copy"),
    Operation("GET", "/api/doctor", get_examination, "What the doctor found lately"),
    Operation("POST", "/api/doctor", examine, "Examine the installation anew"),
)
