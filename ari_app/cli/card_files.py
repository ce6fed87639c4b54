"""The files of a line's card on the command line: what `card.picture=FILE` names is read here, and uploaded."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ari_app.api_client import Api, RequestRefused
from ari_app.cli.complete import FILES

KINDS = tuple(key.removeprefix("card.") for key in FILES)
LONGEST_NAME = 100


@dataclass(frozen=True)
class File:
    """What is to be uploaded; without a path, the one that there is is removed."""

    kind: str
    path: Path | None
    content: bytes = b""


def beside(settings: dict[str, Any], folder: Path) -> None:
    """Let the paths in settings that come from a file be relative to its folder."""
    card = settings.get("card")
    for kind in KINDS:
        if isinstance(card, dict) and card.get(kind):
            card[kind] = str(folder / str(card[kind]))


async def taken_from(settings: dict[str, Any]) -> list[File]:
    """Take the files out of what was given for a line, and read them. Raises RequestRefused."""
    card = settings.get("card")
    named = {kind: card.pop(kind) for kind in KINDS if kind in card} if isinstance(card, dict) else {}
    if named and not card:
        del settings["card"]
    return [await asyncio.to_thread(_read, kind, name) for kind, name in named.items()]


async def send(api: Api, line: str, files: list[File]) -> None:
    """Upload them, or remove what there is; ``line`` is its path in the API. Raises RequestRefused."""
    for file in files:
        place = f"{line}/card/{file.kind}"
        if file.path is None:
            await api.remove(place)
            continue
        try:
            await api.upload(f"{place}?name={quote(file.path.name[:LONGEST_NAME])}", file.content)
        except RequestRefused as refused:
            raise RequestRefused(f"{file.path}: {refused} Whatever else was given is set.") from None


def described(files: list[Mapping[str, Any]]) -> str:
    """The files that a card has, as comments in TOML."""
    return "".join(f"# card.{each['kind']}: {each['name']} ({each['type']}, {each['size']} bytes)\n" for each in files)


def _read(kind: str, name: Any) -> File:
    if not name:
        return File(kind, None)
    from ari_app.lines.card_files import MOST_BYTES  # heavy

    path = Path(str(name))
    try:
        with path.open("rb") as file:
            return File(kind, path, file.read(MOST_BYTES[kind] + 1))  # what is larger is refused with its own sentence
    except OSError as error:
        raise RequestRefused(f"{path}: {error.strerror}") from None
