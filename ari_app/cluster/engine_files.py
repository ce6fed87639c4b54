"""The files of the lines' cards in NATS: which there are in a bucket, and their contents as objects."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from ari_app.backoff import Backoff
from ari_app.cluster.bucket import AGAIN_S, QUIET_S, Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.cluster.engine_leases import boottime
from ari_app.cluster.objects import Objects
from ari_app.cluster.shared_files import MachineFiles
from ari_app.cluster.shared_settings import Cipher, NotOurs, told_or_not
from ari_app.logs import line_log
from ari_app.store.card_files import AboutCardFile, CardFileRow
from ari_app.store.errors import StoreUnavailable

PURPOSE = b"astergram: files of a cluster"
KINDS = ("contact_vcard", "picture")
"""One of a later version is left to that."""
MOST_BYTES = 16_000_000  # of a content; a picture has 10 MB at most
UNNAMED_S = 3600.0
"""After which a content is removed that no line has: of a machine that died, or lost NATS, while it changed a file."""
AGAIN = Backoff(first_s=2.0, last_s=60.0, jitter=0.5)
"""Before what a machine lacks is fetched again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedFile:
    """What NATS has of a file: None for one that was removed. ``object``: the name of its content."""

    line: str
    kind: str
    about: AboutCardFile | None = None
    object: str = ""


@dataclass
class EngineFiles:
    """Those of a cluster, as one of its machines has them; ``run`` and ``fetch`` have to run."""

    bucket: Bucket
    objects: Objects
    cipher: Cipher
    clock: Callable[[], float] = boottime
    _revisions: dict[str, int] = field(default_factory=dict)
    _known: dict[str, SharedFile] = field(default_factory=dict)  # as of these revisions
    _lacked: dict[str, SharedFile] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)  # is lacked
    _unread: dict[str, int] = field(default_factory=dict)  # by key, the revision; each was told of in the log
    _refused: set[str] = field(default_factory=set)  # contents, which the log has told of
    _unnamed: dict[str, float] = field(default_factory=dict)  # contents, and since when

    async def keep(self, file: CardFileRow) -> None:
        """Its content first."""
        with told_or_not():
            shared = _new(file.line, AboutCardFile(file.kind, file.name, file.type, len(file.content), file.put_at))
            await self._upload(shared, file.content)
            await self._write(shared)

    async def remove(self, line: str, kind: str) -> None:
        """Its content last."""
        with told_or_not():
            await self._write(SharedFile(line, kind))

    async def forget(self, line: str) -> None:
        """Those that this machine knows of."""
        for shared in [each for each in self._known.values() if each.line == line and each.about]:
            await self.remove(line, shared.kind)

    def lacks(self, line: str, kind: str) -> bool:
        """It is fetched, or can't be."""
        return key_of(line, kind) in self._lacked

    async def run(self, files: MachineFiles) -> None:
        """Also tell what NATS does not have, whenever a watch is begun anew."""
        while True:
            try:
                await self._offer(files)
                async for entry in self.bucket.watch(QUIET_S):
                    if entry.revision >= self._revisions.get(entry.key, 0):  # else this machine has set it since
                        self._revisions[entry.key] = entry.revision
                        await self._follow(files, entry)
            except (EngineAway, StoreUnavailable) as error:
                log.debug("files of the cluster: %s", error)
                self._unnamed.clear()  # it may not have been told what has them
                await asyncio.sleep(AGAIN_S)

    async def fetch(self, files: MachineFiles) -> None:
        """One after the other; at once what is new, again what could not be had."""
        failures = 0
        while True:
            self._more.clear()
            for key, shared in list(self._lacked.items()):
                if await self._is_fetched(files, key, shared) and self._lacked.get(key) is shared:
                    del self._lacked[key]
            failures = failures + 1 if self._lacked else 0
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN.pause_s(failures) if failures else None):
                    await self._more.wait()

    async def _offer(self, files: MachineFiles) -> None:
        """What NATS lacks of this machine's files, or of their contents."""
        there = await self.objects.names()
        for line, about in await files.all():
            key = key_of(line, about.kind)
            if (entry := await self.bucket.read(key)) is None:
                await self._offer_new(files, line, about)
                continue
            self._revisions[key] = entry.revision  # a lower one, where the servers had lost it
            shared = self._opened(entry)
            if shared and shared.about == about and shared.object not in there:
                content = await files.content(line, about.kind)
                if content is not None and len(content) == about.size:
                    await self._upload(shared, content)
        await self._remove_unnamed(there)

    async def _offer_new(self, files: MachineFiles, line: str, about: AboutCardFile) -> None:
        content = await files.content(line, about.kind)
        if content is None or len(content) != about.size:
            return  # it has been changed just now
        shared = _new(line, about)
        await self._upload(shared, content)
        key = key_of(line, about.kind)
        try:
            self._note(key, await self.bucket.write(key, self._sealed(shared), 0), shared)
        except Conflict:  # another machine was the first
            await self.objects.remove(shared.object)

    async def _write(self, shared: SharedFile) -> None:
        """Over what this machine has last heard of it. Raises Conflict, EngineAway."""
        key = key_of(shared.line, shared.kind)
        before, last = self._known.get(key), self._revisions.get(key, 0)
        try:
            try:
                revision = await self.bucket.write(key, self._sealed(shared), last)
            except Conflict:
                if entry := await self.bucket.read(key):
                    self._revisions[key] = entry.revision
                    self._known.pop(key, None)
                    raise
                revision = await self.bucket.write(key, self._sealed(shared), 0)  # the servers have lost it
        except Conflict:
            await self._discard(shared)
            raise
        self._note(key, revision, shared)
        if before:
            await self._discard(before)

    def _note(self, key: str, revision: int, shared: SharedFile) -> None:
        self._revisions[key], self._known[key] = revision, shared
        self._lacked.pop(key, None)

    async def _discard(self, shared: SharedFile) -> None:
        """The content that no line has any more; where it stays, it goes later."""
        if shared.object:
            try:
                await self.objects.remove(shared.object)
            except EngineAway as error:
                log.debug("files of the cluster: %s stays for a while: %s", shared.object, error)

    async def _remove_unnamed(self, there: set[str]) -> None:
        """The contents that no line has, once that is so for a while."""
        if self._unread or not self._revisions.keys() <= self._known.keys():
            return  # it may be what these have
        now, named = self.clock(), {each.object for each in self._known.values()}
        self._unnamed = {name: self._unnamed.get(name, now) for name in there - named}
        for name in [name for name, since in self._unnamed.items() if now - since > UNNAMED_S]:
            await self.objects.remove(name)

    async def _follow(self, files: MachineFiles, entry: KeyEntry) -> None:
        if (shared := self._opened(entry)) is None:
            return
        self._known[entry.key] = shared
        if shared.about is None:
            self._lacked.pop(entry.key, None)
            return await files.follow_removal(shared.line, shared.kind)
        if await files.is_here(shared.line, shared.about):
            self._lacked.pop(entry.key, None)
        elif self._lacked.get(entry.key) != shared:
            self._lacked[entry.key] = shared
            self._more.set()

    async def _is_fetched(self, files: MachineFiles, key: str, shared: SharedFile) -> bool:
        about = shared.about
        assert about is not None, "what is removed is not fetched"
        try:
            if not await files.has_line(shared.line):
                return False  # it may be told of in a moment
            if (sealed := await self.objects.get(shared.object)) is None:
                log.debug("files of the cluster: %s is not there (yet)", shared.object)
                return False
            content = self.cipher.open_bytes(shared.object, sealed)
            row = CardFileRow(shared.line, shared.kind, about.name, about.type, content, about.put_at)
            return await files.follow(row, lambda: self._lacked.get(key) is shared)
        except (EngineAway, StoreUnavailable) as error:
            log.debug("files of the cluster: %s", error)
        except NotOurs as error:
            if shared.object not in self._refused:
                self._refused.add(shared.object)
                said = "card.%s can't be had from the cluster: %s"
                line_log(log, shared.line).error(said, shared.kind, error)
        return False

    async def _upload(self, shared: SharedFile, content: bytes) -> None:
        await self.objects.put(shared.object, self.cipher.seal_bytes(shared.object, content))  # 10 MB take some 10 ms

    def _sealed(self, shared: SharedFile) -> bytes:
        return self.cipher.seal(key_of(shared.line, shared.kind), json.dumps(asdict(shared)))

    def _opened(self, entry: KeyEntry) -> SharedFile | None:
        """What an entry says; None where this machine does not understand it, which the log says once."""
        try:
            said = json.loads(self.cipher.open(entry.key, entry.value or b""))
            shared = SharedFile(str(said["line"]), str(said["kind"]), _about(said["about"]), str(said["object"]))
            if key_of(shared.line, shared.kind) != entry.key or shared.kind not in KINDS:
                raise ValueError("of a later version")  # noqa: TRY301 - like whatever else is wrong
        except (NotOurs, ValueError, KeyError, TypeError) as error:
            if self._unread.get(entry.key) != entry.revision:
                self._unread[entry.key] = entry.revision
                log.error(  # noqa: TRY400 - the administrator needs the sentence
                    "files of the cluster: a card's file that another machine has set is left out (%s: %s): see that "
                    "`secret` under [cluster] and the version are the same on each machine",
                    entry.key,
                    error,
                )
            return None
        self._unread.pop(entry.key, None)
        return shared


def _new(line: str, about: AboutCardFile) -> SharedFile:
    return SharedFile(line, about.kind, about, f"{key_of(line, about.kind)}.{secrets.token_hex(8)}")


def _about(said: object) -> AboutCardFile | None:
    if said is None:
        return None
    if not isinstance(said, dict):
        raise TypeError("about")
    about = AboutCardFile(
        str(said["kind"]), str(said["name"]), str(said["type"]), int(said["size"]), float(said["put_at"])
    )
    if not 0 <= about.size <= MOST_BYTES:
        raise ValueError("its size")
    return about
