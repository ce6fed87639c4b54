"""The files of a line's business card, a vCard and a picture: uploaded, and kept only if they are what they should be.

No file of the server is ever opened because of what somebody has set.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from typing import Literal, get_args

from ari_app.cluster.shared_files import OwnFiles, SharedFiles
from ari_app.i18n import message
from ari_app.lines.settings import LineError, NoSuchLine
from ari_app.logs import line_log
from ari_app.store.card_files import AboutCardFile, CardFileRepository, CardFileRow
from ari_app.store.store import Store
from media.picture import DecodedPicture, NoPicture, decoded

log = logging.getLogger(__name__)

Kind = Literal["contact_vcard", "picture"]
KINDS: tuple[Kind, ...] = get_args(Kind)

VCARD_TYPE = "text/vcard"
VCARD_BYTES = 2048  # core.telegram.org/bots/api#sendcontact
PICTURE_BYTES = 10_000_000  # core.telegram.org/bots/api#sendphoto, like the next two
SIDES_PX = 10_000  # width and height together
LONGEST_RATIO = 20
LONGEST_NAME = 100
MOST_BYTES = {"contact_vcard": VCARD_BYTES, "picture": PICTURE_BYTES}

FOLD = re.compile(r"\r?\n[ \t]")  # a long line goes on behind it
NAME = re.compile(r"[A-Z0-9-]+")
NO_VCARD = message(
    "This is no vCard: one BEGIN:VCARD to END:VCARD, with its VERSION and the name FN, and nothing else."
)


class CardFileRefused(LineError):
    """A file is not kept: it is not what it should be, or too large."""


class NoSuchCardFile(LineError):
    """The line has no such file."""


class CardFiles:
    """The files of all lines; ``decode`` finds what a picture is (raises NoPicture). ``clock`` gives Unix time.

    ``shared``: the other machines of a cluster, which are told before a change counts here.
    """

    def __init__(
        self,
        store: Store,
        decode: Callable[[bytes], Awaitable[DecodedPicture]] = decoded,
        clock: Callable[[], float] = time.time,
        shared: SharedFiles | None = None,
    ) -> None:
        self._kept = CardFileRepository(store)
        self._decode = decode
        self._clock = clock
        self._shared = shared or OwnFiles()
        self._changing = asyncio.Lock()
        self._decoding = asyncio.Lock()  # one at a time: a large picture takes 200 MB

    async def about(self, number: str) -> dict[str, AboutCardFile]:
        """What files a line has, by their kind."""
        return await self._kept.about(number)

    async def get(self, number: str, kind: Kind) -> CardFileRow:
        """One file. Raises NoSuchCardFile."""
        file = await self._kept.get(number, kind)
        if file is None:
            raise NoSuchCardFile(message("The card of {number} has no such file.", number=number))
        return file

    async def put(self, number: str, kind: Kind, name: str, content: bytes) -> None:
        """Keep a file in place of the one that there is; ``name`` is only shown.

        Raises CardFileRefused, NoSuchLine, NotShared.
        """
        type = await (self._vcard(content) if kind == "contact_vcard" else self._picture(content))
        shown = "".join(filter(str.isprintable, PurePath(name).name))[:LONGEST_NAME] or kind
        async with self._changing:
            file = CardFileRow(number, kind, shown, type, content, self._clock())
            if await self._kept.has_line(number):
                await self._shared.keep(file)
            if not await self._kept.save(file):
                raise NoSuchLine(message("There is no line {number}.", number=number))
        line_log(log, number).info("card.%s is %s, %d bytes", kind, type, len(content))

    async def remove(self, number: str, kind: Kind) -> None:
        """Forget a file. Raises NoSuchCardFile, NotShared."""
        async with self._changing:
            if kind not in await self._kept.about(number):
                raise NoSuchCardFile(message("The card of {number} has no such file.", number=number))
            await self._shared.remove(number, kind)
            await self._kept.remove(number, kind)
        line_log(log, number).info("card.%s is removed", kind)

    # --- as the other machines of a cluster have it

    async def all(self) -> list[tuple[str, AboutCardFile]]:
        """Every file, with its line."""
        return await self._kept.all_about()

    async def content(self, line: str, kind: str) -> bytes | None:
        """What is in a file; None where there is none."""
        file = await self._kept.get(line, kind)
        return file.content if file else None

    async def has_line(self, line: str) -> bool:
        """Whether there is this line."""
        return await self._kept.has_line(line)

    async def is_here(self, line: str, about: AboutCardFile) -> bool:
        """Whether it is this very file that there is."""
        async with self._changing:
            return (await self._kept.about(line)).get(about.kind) == about

    async def follow(self, file: CardFileRow, is_wanted: Callable[[], bool]) -> bool:
        """Take over what another machine has set, and has examined; False where there is no such line (yet)."""
        async with self._changing:
            if not is_wanted() or not await self._kept.save(file):
                return False
        line_log(log, file.line).info("card.%s is set by another machine", file.kind)
        return True

    async def follow_removal(self, line: str, kind: str) -> None:
        """Take over that another machine has removed a file."""
        async with self._changing:
            if await self._kept.remove(line, kind):
                line_log(log, line).info("card.%s is removed by another machine", kind)

    async def _vcard(self, content: bytes) -> str:
        if len(content) > VCARD_BYTES:
            said = message(
                "A vCard has {most} bytes at most, this file has {size}: leave its photo out.",
                most=VCARD_BYTES,
                size=len(content),
            )
            raise CardFileRefused(said)
        _check_vcard(content)
        return VCARD_TYPE

    async def _picture(self, content: bytes) -> str:
        if len(content) > PICTURE_BYTES:
            said = message("A picture has {most} MB at most, this file has more.", most=PICTURE_BYTES // 1_000_000)
            raise CardFileRefused(said)
        try:
            async with self._decoding:
                picture = await self._decode(content)
        except NoPicture as error:
            log.info("a card's picture was refused: %s", error)
            raise CardFileRefused(message("This is no JPEG or PNG picture, or it is damaged or too large.")) from None
        except OSError as error:
            said = message("The picture could not be checked on this machine ({error}): try again.", error=error)
            raise CardFileRefused(said) from None
        long, short = max(picture.width, picture.height), min(picture.width, picture.height)
        if picture.width + picture.height > SIDES_PX or long > LONGEST_RATIO * short:
            said = message(
                "Telegram does not accept a picture of {width} × {height} pixels: width and height may be {most} "
                "together, and one {ratio} times the other.",
                width=picture.width,
                height=picture.height,
                most=SIDES_PX,
                ratio=LONGEST_RATIO,
            )
            raise CardFileRefused(said)
        return picture.type


def _check_vcard(content: bytes) -> None:
    """RFC 6350 and 2426: the lines, and what must be among them. Raises CardFileRefused."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CardFileRefused(message("A vCard is a text in UTF-8; this file is none.")) from None
    lines = FOLD.sub("", text.strip("\ufeff\r\n ")).splitlines()
    names = [line.partition(":")[0].partition(";")[0].rpartition(".")[2].upper() for line in lines]
    given = {name for name, line in zip(names, lines, strict=True) if line.partition(":")[2].strip()}
    sound = (
        lines != []
        and [lines[0].upper(), lines[-1].upper()] == ["BEGIN:VCARD", "END:VCARD"]
        and (names.count("BEGIN"), names.count("END")) == (1, 1)
        and {"VERSION", "FN"} <= given
        and all(":" in line and NAME.fullmatch(name) for name, line in zip(names, lines, strict=True))
    )
    if not sound:
        raise CardFileRefused(NO_VCARD)
