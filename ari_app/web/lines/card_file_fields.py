"""How the files of a line's business card are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.lines.card_files import Kind
from ari_app.store.card_files import AboutCardFile
from ari_app.web.http.context import services
from ari_app.web.lines.line import number_of


@dataclass(frozen=True)
class Field:
    """How a file is asked for, and which one there is."""

    label: Message
    hint: Message
    accept: str
    about: AboutCardFile | None


LABELS: dict[Kind, tuple[Message, Message, str]] = {
    "contact_vcard": (
        message("vCard file"),
        message("More about the contact: a .vcf file with one vCard, 2048 bytes at most."),
        ".vcf,text/vcard",
    ),
    "picture": (
        message("Picture"),
        message("Sent before the text: a JPEG or PNG file, 10 MB at most."),
        "image/jpeg,image/png",
    ),
}


async def card_files(request: web.Request, errors: Mapping[str, Message]) -> dict[str, Any]:
    """What `lines/card_files.html` shows."""
    about = await services(request).card_files.about(number_of(request))
    files = {kind: Field(*texts, about.get(kind)) for kind, texts in LABELS.items()}
    return {"files": files, "file_errors": errors}
