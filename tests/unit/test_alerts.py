"""Alerts: told once they have lasted, and when they are over; muted, tried again, and kept over a restart."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app.alerts import conditions
from ari_app.alerts.alerts import NobodyTold, UnknownAlert
from ari_app.alerts.book import NEVER_S, OVER_S, AlertBook, AlertCondition, AlertKind
from ari_app.alerts.conditions import Watch, of_calls, of_cluster, of_disk, of_lines
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import MOST_TOLD
from ari_app.i18n import Message, as_data, from_data, message
from ari_app.lines.health import Colour, StatusLight
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.store.store import open_store
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import LineState
from tests.integration.web_calls import a_call, put_into
from tests.unit.alert_rig import DISK, LIGHT, LINE, NOW, Rig, alerts
from tests.unit.storage_trouble import locked

GREEN, RED, ORANGE = (
    StatusLight(each, message("{colour}", colour=each.value)) for each in (Colour.GREEN, Colour.RED, Colour.ORANGE)
)
ANNA = {"telegram_to": ["@anna"]}


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_alert_opens_once_when_it_has_lasted_and_closes_once_it_is_over_for_a_while() -> None:
    book = AlertBook()
    for after in (0, 119):
        assert book.look([LIGHT], NOW + after) == ([], [])
    [opened], _ = book.look([LIGHT], NOW + 120)
    assert (opened.since, opened.closed_at) == (NOW, None)
    assert book.look([LIGHT], NOW + 130) == ([], [])
    assert book.look([], NOW + 140) == ([], [])
    assert book.look([LIGHT], NOW + 150) == ([], []), "what comes and goes is one alert"
    assert book.look([], NOW + 160) == ([], [])
    _, [closed] = book.look([], NOW + 160 + OVER_S)
    assert (closed.id, closed.since, closed.closed_at) == (opened.id, NOW, NOW + 160)
    assert book.look([], NOW + 900) == ([], [])


def test_what_was_over_meanwhile_is_told_nobody() -> None:
    book = AlertBook()
    book.look([LIGHT], NOW)
    book.look([], NOW + 30)
    assert book.look([LIGHT], NOW + 120) == ([], [])
    assert len(book.look([LIGHT], NOW + 240)[0]) == 1


def test_a_clock_that_is_set_back_opens_nothing_twice_and_keeps_nothing_open() -> None:
    book = AlertBook()
    book.look([LIGHT], NOW)
    assert book.look([LIGHT], NOW - 3600) == ([], [])
    assert len(book.look([LIGHT], NOW - 3480)[0]) == 1
    book.look([], NOW - 3000)
    book.look([], NOW - 9000)
    assert len(book.look([], NOW - 9000 + OVER_S)[1]) == 1


def test_what_could_not_be_looked_at_stays_as_it_is() -> None:
    book = AlertBook()
    book.look([DISK], NOW)
    for after in (0, OVER_S, 9 * OVER_S):
        assert book.look([], NOW + after, {AlertKind.DISK}) == ([], [])
    assert book.look([], NOW + 9 * OVER_S) == ([], [])
    assert len(book.look([], NOW + 10 * OVER_S)[1]) == 1, "it is known again for a while"


@pytest.mark.parametrize(
    ("state", "account", "frozen", "pauses", "found"),
    [
        (LineState.READY, GREEN, "", {}, []),
        (LineState.SIGNED_OUT, RED, "", {}, [(AlertKind.LIGHT, 120.0)]),
        (LineState.CONNECTING, ORANGE, "", {}, [(AlertKind.LIGHT, 900.0)]),
        (LineState.READY, RED, "FROZEN_METHOD_INVALID", {CALL: (3600.0, "FROZEN")}, [(AlertKind.FROZEN, 0.0)]),
        (LineState.READY, ORANGE, "", {CALL: (300.0, "FLOOD_WAIT_300")}, [(AlertKind.PAUSE, 0.0)]),
        (LineState.READY, ORANGE, "", {CALL: (299.0, "FLOOD_WAIT_299")}, [(AlertKind.PAUSE, float("inf"))]),
    ],
)
def test_lines(state: LineState, account: StatusLight, frozen: str, pauses: Any, found: list[Any]) -> None:
    line: Any = SimpleNamespace(name="Sales", number=LINE, frozen=frozen, pauses=pauses, state=state)
    statuses = cast(Any, SimpleNamespace(shared=lambda: {"asterisk": GREEN}, of_line=lambda line: {"account": account}))
    conditions = list(of_lines({LINE: line}, statuses, AlertSettings()))
    assert [(each.kind, each.hold_s) for each in conditions] == found
    assert all(each.line == LINE and str(each.sentence).startswith("Sales: ") for each in conditions)


def test_what_is_so_for_all_lines_is_one_condition() -> None:
    line: Any = SimpleNamespace(name="Sales", frozen="", pauses={}, state=LineState.READY)
    statuses = cast(Any, SimpleNamespace(shared=lambda: {"asterisk": RED, "bot": GREEN}, of_line=lambda line: {}))
    [found] = of_lines({f"+7999{n:07}": line for n in range(400)}, statuses, AlertSettings())
    assert (found.kind, found.subject, found.line) == (AlertKind.LIGHT, "asterisk", "")
    assert list(of_lines({}, statuses, AlertSettings())) == [], "without a line the program waits for somebody"


def test_disk() -> None:
    mb = 1024 * 1024
    assert list(of_disk(Path("/var/lib/astergram"), 500 * mb, AlertSettings())) == []
    [found] = of_disk(Path("/var/lib/astergram"), 499 * mb, AlertSettings())
    assert str(found.sentence) == "Only 499 MB are free on the disk of /var/lib/astergram."


def cluster(trouble: str | None = None, **there: bool) -> Any:
    machines = [(SimpleNamespace(machine=name), 0.0 if here else 60.0, here) for name, here in there.items()]
    return SimpleNamespace(trouble=trouble, machines=lambda: machines)


def test_a_silent_machine_is_told_of_as_an_orange_light_is() -> None:
    assert list(of_cluster(cluster(a=True, b=True), AlertSettings())) == []
    [found] = of_cluster(cluster(a=True, b=False), AlertSettings(orange_minutes=4))
    assert (found.kind, found.subject, found.hold_s) == (AlertKind.CLUSTER, "b", 240.0)
    assert "Machine b of the cluster is silent" in str(found.sentence)
    [found] = of_cluster(cluster(a=True, b=False), AlertSettings(orange_minutes=0))
    assert found.hold_s == NEVER_S


async def test_while_nats_is_away_no_machine_is_said_to_be_back_or_silent(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        statuses = cast(Any, SimpleNamespace(shared=dict))
        watch = Watch({}, statuses, store, tmp_path, cluster=cluster("no servers available", a=True, b=False, c=False))
        found = await watch.look(AlertSettings(disk_free_mb=0), NOW)
    assert [(each.kind, each.subject) for each in found.conditions] == [(AlertKind.CLUSTER, "")]
    assert "no servers available" in str(found.conditions[0].sentence)
    assert found.unknown == {AlertKind.CLUSTER}


SILENT = AlertCondition(AlertKind.CLUSTER, "b", message("Machine b is silent."), hold_s=900.0)


def test_what_can_not_be_looked_at_now_and_then_is_told_all_the_same() -> None:
    book = AlertBook()
    opened_at = []
    for after in range(0, 3600, 10):
        is_known = after % 600 < 590
        opened, closed = book.look([SILENT] if is_known else [], NOW + after, () if is_known else {AlertKind.CLUSTER})
        assert not closed
        opened_at += [after for _ in opened]
    assert opened_at == [910], "what was not known counts neither for nor against it: 900 s, and the look at 590 s"


def test_after_a_long_time_in_which_nothing_was_known_nothing_opens_at_once() -> None:
    book = AlertBook()
    book.look([SILENT], NOW)
    for after in range(10, 7200, 10):
        book.look([], NOW + after, {AlertKind.CLUSTER})
    assert book.look([SILENT], NOW + 7200) == ([], [])


def test_an_alert_is_over_a_minute_after_it_is_known_to_be() -> None:
    book = AlertBook()
    book.look([SILENT], NOW)
    assert len(book.look([SILENT], NOW + 900)[0]) == 1
    for after in (910, 920, 2000):
        assert book.look([], NOW + after, {AlertKind.CLUSTER}) == ([], [])
    assert book.look([], NOW + 2010) == ([], [])
    assert book.look([SILENT], NOW + 2020) == ([], []), "it has only seemed to be back"
    book.look([], NOW + 3000)
    _, [closed] = book.look([], NOW + 3000 + OVER_S)
    assert closed.closed_at == NOW + 3000


@pytest.mark.parametrize(("calls", "failed", "told"), [(10, 5, 1), (11, 5, 0), (4, 4, 0), (0, 0, 0), (5, 5, 1)])
def test_failed_calls(calls: int, failed: int, told: int) -> None:
    assert len(list(of_calls(calls, failed, AlertSettings()))) == told
    assert list(of_calls(calls, failed, AlertSettings(failed_percent=0))) == []


async def test_calls_are_counted_in_the_history_and_a_disk_that_hangs_is_unknown(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        rows = [a_call(n, NOW - n * 60, status="ERROR" if n % 2 else "ANSWER") for n in range(20)]
        await put_into(store, *rows)
        await store.written()

        def broken(folder: Path) -> int:
            raise OSError("it is gone")

        statuses = cast(Any, SimpleNamespace(shared=dict))
        watch = Watch({}, statuses, store, tmp_path, free=broken)
        settings = AlertSettings(failed_calls=5, failed_percent=40)
        found = await watch.look(settings, NOW)
        [condition] = found.conditions
        assert str(condition.sentence) == "8 of 16 calls have failed within 15 min."
        assert found.unknown == {AlertKind.DISK}


async def test_a_disk_that_hangs_keeps_nothing_else_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(conditions, "DISK_S", 0.01)
    async with open_store(tmp_path / "astergram.db") as store:
        statuses = cast(Any, SimpleNamespace(shared=dict))
        watch = Watch({}, statuses, store, tmp_path, free=lambda folder: goes_on.wait() or 0)
        try:
            for _ in range(50):  # more than there are threads for everything
                assert (await watch.look(AlertSettings(), NOW)).unknown == {AlertKind.DISK}
            async with asyncio.timeout(20):
                assert await asyncio.to_thread(lambda: "goes on") == "goes on"
        finally:
            goes_on.set()


async def test_people_are_told_once_and_when_it_is_over(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA, mail_to=["a@b.c"], mail_host="mail", mail_from="pbx@b.c"):
        rig.live = [LIGHT]
        await rig.pass_s(0)
        assert rig.sent == []
        await rig.pass_s(120)
        await rig.pass_s(10)
        assert [(way, to) for way, to, _ in rig.sent] == [("telegram", "@anna"), ("mail", "a@b.c")]
        assert rig.sent[0][2].subject == "Astergram: Sales: It is signed out."
        assert rig.said[0] == "• Sales: It is signed out. (since 2026-09-21 14:13)\n\nhttp://pbx"
        assert rig.about == [LINE]
        rig.live = []
        await rig.pass_s(1800)
        await rig.pass_s(OVER_S)
        assert rig.said[2:] == ["Over:\n• Sales: It is signed out. (it lasted 32 min)\n\nhttp://pbx"] * 2
        assert rig.sent[-1][2].subject == "Astergram: over: Sales: It is signed out."
    assert [(each.state, each.kind, each.line) for each in rig.reported] == [
        ("open", "light", LINE),
        ("over", "light", LINE),
    ]
    assert rig.reported[1].duration == 1930.0


async def test_what_comes_together_is_one_message(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA):
        rig.live = [AlertCondition(AlertKind.PAUSE, str(n), message("Line {n}", n=n)) for n in range(MOST_TOLD + 5)]
        await rig.pass_s(0)
    [said] = rig.said
    assert said.count("•") == MOST_TOLD
    assert "… and 5 more" in said
    assert rig.sent[0][2].subject == "Astergram: alerts: 25"


async def test_a_restart_tells_nobody_again_and_closes_what_is_over(rig: Rig, tmp_path: Path) -> None:
    rig.live = [DISK]
    async with alerts(rig, tmp_path, **ANNA):
        await rig.pass_s(0)
        [first] = rig.alerts.open
    async with alerts(rig, tmp_path):
        await rig.pass_s(3600)
        [again] = rig.alerts.open
        assert (again.id, again.since, len(rig.sent)) == (first.id, NOW, 1)
    rig.live = []
    async with alerts(rig, tmp_path):
        await rig.pass_s(0)
        await rig.pass_s(OVER_S)
        assert rig.alerts.open == []
        [last] = await rig.alerts.last()
        assert (last.id, str(last.condition.sentence)) == (first.id, "Only 7 MB are free.")
        assert len(rig.sent) == 2


async def test_what_does_not_get_through_is_tried_again_also_after_a_restart(rig: Rig, tmp_path: Path) -> None:
    rig.live, rig.refuses = [DISK], True
    async with alerts(rig, tmp_path, **ANNA):
        await rig.pass_s(0)
        assert str(rig.alerts.outbox.trouble(reason=True)) == "Alerts do not get through by Telegram: nobody is there."
    rig.refuses = False
    async with alerts(rig, tmp_path):
        await rig.pass_s(10)
        assert len(rig.sent) == 1
        [delivery] = await rig.alerts.outbox.deliveries(10)
        assert (delivery.state, delivery.attempts) == ("delivered", 2)


async def test_who_is_not_told_any_more_gets_nothing_of_what_waits(rig: Rig, tmp_path: Path) -> None:
    rig.live, rig.refuses = [DISK], True
    async with alerts(rig, tmp_path, **ANNA):
        await rig.pass_s(0)
        await rig.alerts.part.change({"telegram_to": None})
        rig.refuses = False
        await rig.pass_s(10)
        assert rig.sent == []
        assert (await rig.alerts.outbox.deliveries(1))[0].state == "failed"


async def test_muted(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA):
        await rig.alerts.mute(None, 1.0, "admin")
        rig.live = [DISK]
        await rig.pass_s(0)
        [muted] = rig.alerts.open
        assert (rig.alerts.muted(muted), rig.sent, rig.reported) == (True, [], [])
    async with alerts(rig, tmp_path):
        await rig.pass_s(3599)
        assert rig.sent == []
        await rig.pass_s(1)
        assert len(rig.sent) == 1, "what is still wrong is told once the time is over"
        assert rig.alerts.mutes == []


async def test_what_is_over_before_it_was_told_is_told_nobody(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA):
        rig.live = [DISK]
        await rig.alerts.mute(None, None, "admin")
        await rig.pass_s(0)
        rig.live = []
        await rig.pass_s(10)
        await rig.pass_s(OVER_S)
        assert (rig.alerts.open, rig.sent, len(await rig.alerts.last())) == ([], [], 1)


async def test_one_condition_is_muted_and_the_others_are_told(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA):
        rig.live = [DISK]
        await rig.pass_s(0)
        mute = await rig.alerts.mute(rig.alerts.open[0].id, None, "admin")
        rig.live = []
        await rig.pass_s(1)
        await rig.pass_s(OVER_S)
        assert rig.said[1:] == ["Over:\n• Only 7 MB are free. (it lasted 1 s)\n\nhttp://pbx"], "its end is told"
        rig.live = [DISK, LIGHT]
        await rig.pass_s(0)
        await rig.pass_s(120)
        assert [said.startswith("• Sales") for said in rig.said[2:]] == [True]
        await rig.alerts.unmute(mute.id)
        await rig.pass_s(0)
        assert len(rig.sent) == 4
        with pytest.raises(UnknownAlert):
            await rig.alerts.unmute(mute.id)
        with pytest.raises(UnknownAlert):
            await rig.alerts.mute("0" * 12, None, "admin")


async def test_the_button(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path):
        with pytest.raises(NobodyTold):
            await rig.alerts.test()
        await rig.alerts.part.change(ANNA)
        [sent] = await rig.alerts.test()
        await rig.pass_s(0)
        assert rig.said == ["This is a test: alerts of Astergram get here."]
        assert (sent.type, rig.reported[0].state) == ("test", "test")


async def test_a_database_that_can_not_be_written_keeps_nobody_from_being_told(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, **ANNA):
        rig.live = [DISK]
        async with locked(rig.store, tmp_path / "astergram.db"):
            await rig.pass_s(0)
            assert len(rig.sent) == 1


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"mail_to": ["anna@example.com"]}, ["mail_host", "mail_from"]),
        ({"mail_to": ["anna"]}, ["mail_to.0"]),
        ({"mail_from": "Bcc: x\n@b"}, ["mail_from"]),
        ({"telegram_to": ["anna"]}, ["telegram_to.0"]),
        ({"mail_user": "pbx", "mail_password": "secret", "mail_security": "none"}, ["mail_security"]),
        ({"mail_password": "secret"}, ["mail_user"]),
        ({"red_minutes": -1}, ["red_minutes"]),
        ({"nothing": 1}, ["nothing"]),
    ],
)
async def test_settings_that_can_not_be_used(rig: Rig, tmp_path: Path, changes: Any, wrong: list[str]) -> None:
    async with alerts(rig, tmp_path):
        with pytest.raises(SettingRefused) as refused:
            await rig.alerts.part.change(changes)
        assert [each.key for each in refused.value.wrong] == wrong
        assert "secret" not in str(refused.value)
        assert rig.alerts.part.settings == AlertSettings()


async def test_settings_are_kept_and_nobody_undoes_what_others_have_set(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, mail_user="pbx", mail_password="secret", red_minutes=5) as its:
        read = version_of(its.part.settings)
        await its.part.change({"red_minutes": None})
        with pytest.raises(SettingsChanged):
            await its.part.change({"red_minutes": 1}, {read})
    async with alerts(rig, tmp_path) as its:
        password = its.part.settings.mail_password
        assert password is not None
        assert (password.get_secret_value(), its.part.settings.red_minutes) == ("secret", 2.0)
        assert "secret" not in its.part.settings.model_dump_json()


async def test_a_password_goes_to_no_server_but_the_one_that_it_was_entered_for(rig: Rig, tmp_path: Path) -> None:
    async with alerts(rig, tmp_path, mail_user="pbx", mail_password="secret", mail_host="smtp.example.com") as its:
        for changes in ({"mail_host": "evil.example"}, {"mail_port": 2525}):
            with pytest.raises(SettingRefused, match="mail_password: It was entered for another server"):
                await its.part.change(changes)
        await its.part.change({"mail_host": ""})
        with pytest.raises(SettingRefused):
            await its.part.change({"mail_host": "evil.example"})
        await its.part.change({"mail_host": "mail.example.com", "mail_password": "secret"})
        await its.part.change({"mail_security": "tls", "red_minutes": 1})
        await its.part.change({"mail_host": "relay.example.com", "mail_password": None})
        assert its.part.settings.mail_password is None


def test_a_sentence_survives_being_kept() -> None:
    class Odd(Exception):
        sentence = message("It is {what}.", what="odd")

    said = message("{line}: {error} {other}", line="Sales", error=Odd(), other=ValueError("plain"))
    kept = from_data(as_data(said))
    assert (str(kept), kept.values["error"]) == ("Sales: It is odd. plain", Message("It is {what}.", {"what": "odd"}))
