"""Files of lines' cards that several machines have. By virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest

from ari_app.cluster.bucket import AGAIN_S, QUIET_S
from ari_app.cluster.engine_files import AGAIN, KINDS, PURPOSE, UNNAMED_S, EngineFiles
from ari_app.cluster.shared_settings import Cipher, NotShared
from ari_app.i18n import message
from ari_app.lines import card_files as lines_card_files
from ari_app.lines.shared_lines import LinesWithFiles
from ari_app.store.card_files import AboutCardFile, CardFileRow
from ari_app.store.errors import StoreUnavailable
from ari_app.tasks import guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fake_objects import WayToObjects
from tests.fast_time import run
from tests.other_machines import OtherMachines

LINE, OTHER = "+79990000001", "+79990000009"
SOON_S = 1.0
ONE, ANOTHER = "one", "another"  # secrets


def picture(content: bytes = b"red", line: str = LINE, put_at: float = 1.5, kind: str = "picture") -> CardFileRow:
    return CardFileRow(line, kind, "us.png", "image/png", content, put_at)


@dataclass
class Files:
    """What a machine has."""

    rows: dict[tuple[str, str], CardFileRow] = field(default_factory=dict)
    lines: set[str] = field(default_factory=lambda: {LINE, OTHER})
    told: list[str] = field(default_factory=list)
    error: Exception | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def all(self) -> list[tuple[str, AboutCardFile]]:
        return [(each.line, about(each)) for each in self.rows.values()]

    async def content(self, line: str, kind: str) -> bytes | None:
        row = self.rows.get((line, kind))
        return row.content if row else None

    async def has_line(self, line: str) -> bool:
        return line in self.lines

    async def is_here(self, line: str, its: AboutCardFile) -> bool:
        async with self.changing:
            row = self.rows.get((line, its.kind))
            return row is not None and about(row) == its

    async def follow(self, file: CardFileRow, is_wanted: Callable[[], bool]) -> bool:
        if self.error:
            raise self.error
        async with self.changing:
            if not is_wanted():
                return False
            self.rows[file.line, file.kind] = file
            self.told.append(f"set {file.kind}")
        return True

    async def follow_removal(self, line: str, kind: str) -> None:
        async with self.changing:
            if self.rows.pop((line, kind), None):
                self.told.append(f"removed {kind}")


def about(row: CardFileRow) -> AboutCardFile:
    return AboutCardFile(row.kind, row.name, row.type, len(row.content), row.put_at)


@dataclass
class Nats:
    """What all machines have in common."""

    engine: Engine = field(default_factory=Engine)
    contents: dict[str, bytes] = field(default_factory=dict)

    def lose_everything(self) -> None:
        self.engine.lose_everything()
        self.contents.clear()


@dataclass
class Machine:
    """One of a cluster, with its way to NATS."""

    way: WayToEngine
    objects: WayToObjects
    shared: EngineFiles
    files: Files

    async def put(self, file: CardFileRow) -> None:
        """As somebody does on its page."""
        async with self.files.changing:
            await self.shared.keep(file)
            self.files.rows[file.line, file.kind] = file

    async def remove(self, file: CardFileRow) -> None:
        async with self.files.changing:
            await self.shared.remove(file.line, file.kind)
            del self.files.rows[file.line, file.kind]

    def cut(self, away: bool) -> None:
        self.way.away = self.objects.away = away

    @property
    def has(self) -> list[CardFileRow]:
        return sorted(self.files.rows.values(), key=lambda each: (each.line, each.kind))


@asynccontextmanager
async def machine(nats: Nats, *rows: CardFileRow, secret: str = ONE) -> AsyncIterator[Machine]:
    way, objects = WayToEngine(nats.engine), WayToObjects(nats.contents)
    clock = asyncio.get_running_loop().time
    shared = EngineFiles(way, objects, Cipher(secret, PURPOSE), clock)
    files = Files({(each.line, each.kind): each for each in rows})
    async with guarded_tasks() as tasks:
        tasks.supervise(lambda: shared.run(files), "files")
        tasks.supervise(lambda: shared.fetch(files), "fetch")
        await asyncio.sleep(SOON_S)
        yield Machine(way, objects, shared, files)


def test_what_is_uploaded_on_one_machine_all_have() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            await a.put(picture())
            await asyncio.sleep(SOON_S)
            await b.put(picture(b"vcard", kind="contact_vcard"))
            await b.put(picture(b"blue", line=OTHER))
            await asyncio.sleep(SOON_S)
            assert a.has == b.has
            assert [each.content for each in a.has] == [b"vcard", b"red", b"blue"]
            await b.put(picture(b"green", put_at=2.5))
            await asyncio.sleep(SOON_S)
            assert [each.content for each in a.has] == [b"vcard", b"green", b"blue"]
            assert len(nats.contents) == 3, "nothing of what was replaced stays"
            await a.remove(picture())
            await asyncio.sleep(SOON_S)
            assert [each.content for each in b.has] == [b"vcard", b"blue"] == [each.content for each in a.has]
            assert len(nats.contents) == 2
            assert not any(each in content for content in nats.contents.values() for each in (b"vcard", b"blue"))
            assert b.files.told == ["set picture", "removed picture"], "not its own"

    run(scene)


def test_a_machine_that_joins_or_was_away_has_what_the_others_have() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture(b"of a")) as a:
            async with machine(nats, picture(b"of b", put_at=1.25), picture(b"more", OTHER)) as b:
                await asyncio.sleep(SOON_S)
                assert a.has == b.has == [picture(b"of a"), picture(b"more", OTHER)]
                await b.remove(picture(line=OTHER))
                await a.put(picture(b"newer"))
            await asyncio.sleep(SOON_S)
            async with machine(nats, picture(b"of a"), picture(b"more", OTHER)) as b:
                await asyncio.sleep(SOON_S)
                assert a.has == b.has == [picture(b"newer")]
                assert len(nats.contents) == 1

    run(scene)


def test_the_same_name_for_different_contents() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            await asyncio.gather(a.put(picture(b"red")), b.put(picture(b"blue", OTHER)))
            await asyncio.sleep(SOON_S)
            assert a.has == b.has == [picture(b"red"), picture(b"blue", OTHER)]
            done = await asyncio.gather(
                a.put(picture(b"1", put_at=2.0)), b.put(picture(b"2", put_at=3.0)), return_exceptions=True
            )
            (refused,) = [each for each in done if each is not None]
            assert "Another machine has changed this" in str(refused)
            await asyncio.sleep(SOON_S)
            assert a.has == b.has
            assert len(nats.contents) == 2, "nothing of the refused one stays"

    run(scene)


def test_while_nats_is_away_nothing_is_changed() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture()) as a, machine(nats) as b:
            await asyncio.sleep(SOON_S)
            for away in ("way", "objects"):
                getattr(a, away).away = True
                with pytest.raises(NotShared, match="NATS has not answered"):
                    await a.put(picture(b"blue", put_at=2.0))
                getattr(a, away).away = False
            a.way.away = True
            with pytest.raises(NotShared, match="NATS has not answered"):
                await a.remove(picture())
            a.cut(away=False)
            await asyncio.sleep(QUIET_S)
            assert a.has == b.has == [picture()]
            await a.put(picture(b"green", put_at=3.0))
            await asyncio.sleep(SOON_S)
            assert b.has == [picture(b"green", put_at=3.0)]

    run(scene)


def test_a_change_that_arrived_though_nobody_said_so_counts() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture()) as a, machine(nats) as b:
            a.way.acknowledges = False
            with pytest.raises(NotShared):
                await a.put(picture(b"blue", put_at=2.0))
            a.way.acknowledges = True
            await asyncio.sleep(SOON_S)
            assert a.has == b.has == [picture(b"blue", put_at=2.0)]

    run(scene)


def test_what_can_not_be_had_now_is_fetched_later() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            b.objects.away = True
            await a.put(picture())
            await asyncio.sleep(SOON_S)
            assert b.has == []
            assert b.shared.lacks(LINE, "picture")
            assert not b.shared.lacks(OTHER, "picture")
            await asyncio.sleep(10 * QUIET_S)
            fetches = [each for each in b.objects.asked if each.startswith("get")]
            assert 5 < len(fetches) < 10 * QUIET_S / AGAIN.first_s / 2, "less and less often"
            b.objects.away = False
            await b.put(picture(b"own", OTHER))
            await asyncio.sleep(AGAIN.last_s)
            assert b.has == [picture(), picture(b"own", OTHER)]
            assert not b.shared.lacks(LINE, "picture")
            b.objects.away = True
            await a.put(picture(b"newer", put_at=2.0))
            await asyncio.sleep(SOON_S)
            assert b.shared.lacks(LINE, "picture"), "what it has is not what is set"
            await a.remove(picture())
            await asyncio.sleep(SOON_S)
            assert not b.shared.lacks(LINE, "picture")
            assert b.has == [picture(b"own", OTHER)]

    run(scene)


def test_what_is_new_is_fetched_at_once_also_while_something_else_can_not_be_had() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            a.objects.keeps = False
            await a.put(picture())
            a.objects.keeps = True
            await asyncio.sleep(5.0)
            await a.put(picture(b"blue", OTHER))
            await asyncio.sleep(SOON_S)
            assert b.has == [picture(b"blue", OTHER)]
            await asyncio.sleep(QUIET_S + AGAIN.last_s)
            assert b.has == [picture(), picture(b"blue", OTHER)], "who has it has seen that it was lost"

    run(scene)


def test_what_is_set_here_meanwhile_stays() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            b.objects.delay_s = 5.0
            await a.put(picture())
            await asyncio.sleep(SOON_S)
            assert b.shared.lacks(LINE, "picture")
            b.objects.delay_s = 0.01
            await b.put(picture(b"blue", put_at=2.0))
            assert not b.shared.lacks(LINE, "picture")
            for _ in range(10):
                await asyncio.sleep(SOON_S)
                assert b.has == [picture(b"blue", put_at=2.0)]
            assert a.has == b.has

    run(scene)


def test_a_file_of_a_line_that_is_told_of_later() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            b.files.lines.discard(LINE)
            await a.put(picture())
            await asyncio.sleep(SOON_S)
            assert not any(each.startswith("get") for each in b.objects.asked)
            b.files.lines.add(LINE)
            await asyncio.sleep(2 * AGAIN.first_s)
            assert b.has == [picture()]

    run(scene)


@pytest.mark.parametrize("later_s", [0.0, QUIET_S + AGAIN_S + SOON_S])
def test_servers_that_have_lost_everything_are_told_again(later_s: float) -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture(), picture(b"blue", OTHER)) as a, machine(nats) as b:
            await asyncio.sleep(SOON_S)
            nats.lose_everything()
            await asyncio.sleep(later_s)
            await b.put(picture(b"after", put_at=5.0))
            await asyncio.sleep(2 * QUIET_S)
            async with machine(nats) as c:
                await asyncio.sleep(SOON_S)
                assert a.has == b.has == c.has == [picture(b"after", put_at=5.0), picture(b"blue", OTHER)]
            nats.contents.clear()  # only these
            await asyncio.sleep(2 * QUIET_S)
            async with machine(nats) as c:
                await asyncio.sleep(SOON_S)
                assert c.has == a.has
            assert len(nats.contents) == 2

    run(scene)


def test_what_nobody_names_goes_after_a_while() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture()):
            nats.contents["79990000001.picture.of a dead machine"] = b"x"
            await asyncio.sleep(UNNAMED_S / 2)
            assert len(nats.contents) == 2
            await asyncio.sleep(UNNAMED_S)
            assert len(nats.contents) == 1

    run(scene)


def test_another_secret_is_told_of_and_removes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture()) as a, machine(nats, picture(b"own"), secret=ANOTHER) as b:
            await asyncio.sleep(2 * UNNAMED_S)
            assert (a.has, b.has) == ([picture()], [picture(b"own")])
            assert len(nats.contents) == 1

    with caplog.at_level(logging.ERROR):
        run(scene)
    assert caplog.text.count("see that `secret` under [cluster]") == 1


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "voice"},
        {"line": OTHER},
        {"about": 5},
        {"about": {"kind": "picture"}},
        {"about": asdict(about(picture())) | {"size": 10**12}},
        {"object": ...},
    ],
)
def test_what_a_later_version_says_is_left_out(said: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        nats = Nats()
        its = {"line": LINE, "kind": "picture", "about": asdict(about(picture())), "object": "x"} | said
        key = f"79990000001.{its['kind']}"
        text = json.dumps({name: value for name, value in its.items() if value is not ...})
        nats.engine.write(key, Cipher(ONE, PURPOSE).seal(key, text), 0)
        nats.contents["x"] = b"x"
        async with machine(nats) as a:
            await asyncio.sleep(2 * UNNAMED_S)
            assert (a.has, a.shared.lacks(LINE, "picture")) == ([], False)
            assert nats.contents, "it may be what that names"
            await a.put(picture(b"own", OTHER))

    run(scene)
    assert caplog.text.count("is left out") == 1


def test_a_content_of_another_file_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    """By somebody who may write to NATS, and does not have the secret."""

    async def scene() -> None:
        nats = Nats()
        async with machine(nats, picture(), picture(b"blue", OTHER)):
            one, other = nats.contents
            nats.contents[one], nats.contents[other] = nats.contents[other], nats.contents[one]
            async with machine(nats) as b:
                await asyncio.sleep(2 * QUIET_S)
                assert b.has == []

    run(scene)
    assert caplog.text.count("can't be had from the cluster") == 2, "once each"


def test_a_database_that_can_not_be_used_now() -> None:
    async def scene() -> None:
        nats = Nats()
        async with machine(nats) as a, machine(nats) as b:
            b.files.error = StoreUnavailable(message("Disk full."))
            await a.put(picture())
            await asyncio.sleep(SOON_S)
            assert b.has == []
            b.files.error = None
            await asyncio.sleep(AGAIN.last_s)
            assert b.has == [picture()]

    run(scene)


def test_files_go_with_their_line_and_do_not_come_back_with_its_number() -> None:
    async def scene() -> None:
        nats, others = Nats(), OtherMachines()
        async with machine(nats, picture(), picture(b"blue", OTHER)) as a, machine(nats) as b:
            await asyncio.sleep(SOON_S)
            lines = LinesWithFiles(others, a.shared, a.files.lines.__contains__)
            await lines.keep(LINE, "changed")
            assert len(nats.contents) == 2
            a.objects.away = a.way.away = True
            await lines.keep(LINE, None)  # NATS is gone just after it was told of the line
            for each in (a, b):
                each.files.lines.discard(LINE)
                each.files.rows.pop((LINE, "picture"))
            with pytest.raises(NotShared):
                await lines.keep(LINE, "new")
            a.objects.away = a.way.away = False
            await lines.keep(LINE, "new")
            for each in (a, b):
                each.files.lines.add(LINE)
            await asyncio.sleep(QUIET_S + SOON_S)
            assert a.has == b.has == [picture(b"blue", OTHER)]
            a.files.lines.discard(OTHER)
            others.left_out.add(OTHER)
            with pytest.raises(NotShared):
                await lines.keep(OTHER, "new")
            assert nats.contents, "they are those of a line that this machine does not understand"
            others.left_out.clear()
            await lines.keep(OTHER, None)
            assert not nats.contents
        assert others.told == [(LINE, "changed"), (LINE, None), (LINE, "new"), (OTHER, None)]

    run(scene)


def test_the_kinds_are_those_of_the_lines() -> None:
    assert KINDS == lines_card_files.KINDS
    assert replace(picture(), content=b"") != picture()
