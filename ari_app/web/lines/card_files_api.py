"""The files of a line's business card."""

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ari_app.lines.card_files import LONGEST_NAME, CardFileRefused, Kind, NoSuchCardFile
from ari_app.lines.settings import NoSuchLine
from ari_app.store.card_files import AboutCardFile
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.http.uploads import LARGEST_FILE
from ari_app.web.lines.api import Number

FILE = "/api/lines/{number}/card/{kind}"
TYPES = "image/jpeg, image/png, text/vcard"


class CardFileAnswer(BaseModel):
    """A file: ``type`` is its media type, ``size`` in bytes, ``put_at`` a Unix time."""

    kind: Kind
    name: str
    type: str
    size: int
    put_at: float

    @classmethod
    def of(cls, about: AboutCardFile) -> "CardFileAnswer":
        """All but its content."""
        return cls.model_validate(vars(about))


class FileName(BaseModel):
    """What the file is called, to be shown."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=LONGEST_NAME)


async def list_card_files(asked: Asked, number: Number) -> list[CardFileAnswer]:
    """Which files the card has."""
    asked.services.lines.settings(number)
    about = await asked.services.card_files.about(number)
    return [CardFileAnswer.of(each) for each in about.values()]


async def get_card_file(asked: Asked, number: Number, kind: Kind) -> web.StreamResponse:
    """The file itself."""
    asked.services.lines.settings(number)
    file = await asked.services.card_files.get(number, kind)
    return file_response(file.type, file.content)


async def put_card_file(asked: Asked, number: Number, kind: Kind, query: FileName, content: bytes) -> CardFileAnswer:
    """Keep a file, in place of the one that there is."""
    files = asked.services.card_files
    asked.services.lines.settings(number)
    await files.put(number, kind, query.name, content)
    return CardFileAnswer.of((await files.about(number))[kind])


async def remove_card_file(asked: Asked, number: Number, kind: Kind) -> None:
    """Remove the file."""
    asked.services.lines.settings(number)
    await asked.services.card_files.remove(number, kind)


def file_response(type: str, content: bytes) -> web.Response:
    """A file as an answer; what is no picture is for saving only."""
    headers = {} if type.startswith("image/") else {"Content-Disposition": "attachment"}
    return web.Response(body=content, content_type=type, headers=headers)


operations = (
    Operation("GET", "/api/lines/{number}/card", list_card_files, "Which files a card has", errors={404: NoSuchLine}),
    Operation(
        "GET", FILE, get_card_file, "A card's file", errors={404: (NoSuchLine, NoSuchCardFile)}, media_type=TYPES
    ),
    Operation(
        "PUT",
        FILE,
        put_card_file,
        "Upload a card's file",
        errors={404: NoSuchLine, 422: CardFileRefused},
        largest=LARGEST_FILE,
    ),
    Operation(
        "DELETE",
        FILE,
        remove_card_file,
        "Remove a card's file",
        errors={404: (NoSuchLine, NoSuchCardFile)},
    ),
)
