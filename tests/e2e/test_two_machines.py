"""Two machines with one line: each call, text and key is answered once, whichever of them is there."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from telethon.tl import functions

from ari_app.api_client import RequestRefused, program
from ari_app.app.earlier_run import HOLD_S
from ari_app.config import Settings, load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.demo.program import OWN, Program, astergram
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.stage import ANNA, BORIS, LINE, stage
from ari_app.sandbox.tones import write_tone
from ari_app.telegram.phone import DiscardReason
from tests.e2e.commands import printed_by
from tests.pictures import jpeg

LEASE_S = 3.0
LONG_LEASE_S = 20.0
"""A machine that is killed is at work again well within it."""
READY_S = 60.0
ANSWERED_S = 60.0
ORPHAN_S = 5.0
KEYPAD_GOES_S = HOLD_S + ORPHAN_S + 60.0
DEMO_S = 300.0
AUTO_ANSWER = "Call us!"
NEW_LINE, WITH_PASSWORD = "+79990000007", "+79990000008"
SECRET = "of the two machines only"
FETCHES = "this machine fetches what is meant for it now"
DIALPLAN = """\
[soon]
exten => _X.,1,Ringing()
 same => n,Wait(3)
 same => n,Answer()
 same => n,Echo()
"""


class Machine:
    """One with an Asterisk of its own; its program, run by ``command``, can be started and killed."""

    def __init__(self, name: str, configuration: Path, folder: Path, command: Sequence[str] = OWN) -> None:
        self.name = name
        self.command = command
        self.settings: Settings = load(configuration)
        self.program: Program
        self._configuration = configuration
        self._folder = folder
        self._runs = 0
        self._running = AsyncExitStack()

    async def start(self, *, leads: bool = False) -> None:
        """Have it run; ``leads``: wait until it holds the line."""
        self._runs += 1
        log = self._folder / f"astergram-{self.name}-{self._runs}.log"
        its = astergram(self._configuration, log, READY_S, self.command)
        self.program = await self._running.enter_async_context(its)
        if leads:
            await self.program.acts_for_a_line()

    async def stop(self) -> None:
        """As systemd does."""
        await self._running.aclose()

    async def kill(self) -> None:
        """As a power failure does."""
        self.program.kill()
        await self._running.aclose()

    async def history(self) -> dict[str, tuple[str, str, str]]:
        """Each call that is over: which machine's, how it ended, and with whom."""
        async with program(self.settings) as api:
            rows = (await api.ask("GET", "/calls"))["calls"]
        return {row["id"]: (row["machine"] or self.name, row["status"], row["name"]) for row in rows if row["status"]}

    async def cli(self, *command: str) -> str:
        """What a command of an administrator's prints; it has to be done."""
        arguments = ("-m", "ari_app.cli", *command, "--config", str(self._configuration))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        printed = (await process.communicate())[0].decode()
        assert process.returncode == 0, printed
        return printed

    async def live(self) -> list[Any]:
        """Its calls."""
        async with program(self.settings) as api:
            return list(await api.ask("GET", "/calls/live"))


@pytest.fixture
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """A stage, NATS, and both machines; its parameter, if any, has their `on_stop` and `lease_s`."""
    its = {"on_stop": "hang_up", "lease_s": LEASE_S} | getattr(request, "param", {})
    async with (
        asyncio.timeout(DEMO_S),
        stage(tmp_path, dialplan=DIALPLAN) as set_stage,
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        PrivateAsterisk(tmp_path / "asterisk-b", dialplan=DIALPLAN) as second,
    ):
        machines = []
        for name, asterisk in (("a", set_stage.asterisk), ("b", second)):
            configuration = await set_stage.configuration(
                [{"number": LINE, "context": "soon", "max_calls": 2, "texts": {"en": {"auto_answer": AUTO_ANSWER}}}],
                name=f"astergram-{name}",
                calls={"max_calls": 1, "on_stop": its["on_stop"]},
                bot=set_stage.bot(),
                media={"orphan_s": ORPHAN_S},
                asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
                cluster={"servers": nats.urls, "machine": name, "lease_s": its["lease_s"], "secret": SECRET},
            )
            await set_stage.sign_in_lines(load(configuration))
            machines.append(Machine(name, configuration, tmp_path))
        a, b = machines
        await a.start(leads=True)
        await b.start()
        try:
            yield set_stage, nats, a, b
        finally:
            await a.stop()
            await b.stop()


@asynccontextmanager
async def answered(set_stage: Any, tmp_path: Path, caller: str = ANNA) -> AsyncIterator[Any]:
    """Somebody calls, and hears themselves."""
    tone = tmp_path / "tone.wav"
    if not tone.exists():
        write_tone(tone, 440.0, 60.0)
    async with set_stage.person(caller) as person:
        call = await person.call(LINE)
        yield call
        if not any(type(each).__name__ == "PhoneCallDiscarded" for each in call.updates):
            await call.hang_up(DiscardReason.HANGUP)
        await call.close_audio()


async def answers(set_stage: Any, *, written: bool, least: int = 1) -> list[str]:
    """What Boris has been answered, once they have been so often; they write before it, or have done so."""
    async with set_stage.person(BORIS) as boris:
        if written:
            await write(boris)

        def found(messages: list[Any]) -> list[str]:
            return [each.message for each in messages if each.message == AUTO_ANSWER]

        await boris.sees(LINE, lambda messages: len(found(messages)) >= least, ANSWERED_S)
        return found(await boris.chat_with(LINE))


async def write(person: Any, text: str = "Hello?") -> None:
    """Somebody writes to the line."""
    line = (await person.client(functions.contacts.ResolvePhoneRequest(LINE))).users[0]
    await person.client.send_message(line, text)


async def test_calls_and_texts_are_answered_once_whoever_is_there(scene: Any, tmp_path: Path) -> None:
    set_stage, nats, a, b = scene
    tone = tmp_path / "tone.wav"
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
        assert len(await a.live()) == 1 and not await b.live()
        # That is as many as it may have.
        async with answered(set_stage, tmp_path, BORIS) as second:
            await second.confirm(tone, None)
            assert len(await a.live()) == 1 and len(await b.live()) == 1
            # An administrator of either machine sees it, and ends it.
            async with program(a.settings) as api:
                (theirs,) = await api.ask("GET", "/cluster/calls")
                (shown,) = theirs["calls"]
                assert (theirs["machine"], shown["line"], shown["state"]) == ("b", LINE, "talking")
                whole = await api.ask("GET", f"/calls/{shown['id']}")
                assert (whole["call"]["machine"], whole["state"], whole["missing"]) == ("b", "talking", "")
                assert whole["events"][0]["type"] == "CallOffered"
                await api.ask("POST", "/cluster/hangup", {"machine": "b", "id": shown["id"]})
            await second.ended()
    assert await answers(set_stage, written=True) == [AUTO_ANSWER]

    # An administrator of either machine has the line moved.
    async with program(a.settings) as api:
        found = await api.ask("POST", "/cluster/move", {"line": LINE, "machine": "b"})
    assert {each["machine"] for each in found["machines"] if each["there"]} == {"a", "b"}
    await b.program.acts_for_a_line()
    await a.stop()
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
        # The other one comes back, and takes nothing away.
        await a.start()
        assert len(await b.live()) == 1 and not await a.live()
        # Without the engine, the one that holds the line goes on.
        await nats.kill(0)
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
    # By now the other machine has had time enough to answer the text once more.
    assert await answers(set_stage, written=False) == [AUTO_ANSWER]


async def line_has(machine: Machine, **known: int) -> None:
    """Wait until a machine knows this of the line; its calls are those of all machines."""
    async with program(machine.settings) as api:
        while not known.items() <= (await api.ask("GET", f"/lines/{LINE}")).items():  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)


async def test_a_line_has_no_more_calls_than_it_may_on_all_machines_together(scene: Any, tmp_path: Path) -> None:
    set_stage, _, a, b = scene
    await a.cli("line", "set", LINE, "max_calls=1")
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tmp_path / "tone.wav", None)
        async with program(a.settings) as api:
            await api.ask("POST", "/cluster/move", {"line": LINE, "machine": "b"})
        await line_has(b, calls=1, max_calls=1)
        async with answered(set_stage, tmp_path, BORIS) as second:
            assert isinstance((await second.ended()).reason, DiscardReason.BUSY.value)
        assert len(await a.live()) == 1 and not await b.live()
    await line_has(b, calls=0, max_calls=1)
    async with answered(set_stage, tmp_path, BORIS) as second:
        await second.confirm(tmp_path / "tone.wav", None)
        await has_a_call(b, "talking")


async def fetches(*machines: Machine) -> Machine:
    """Which of them fetches what is meant for the bot, once one does."""
    while True:
        for each in machines:
            if FETCHES in each.program.log.read_text():
                return each
        await asyncio.sleep(0.1)


async def test_keys_reach_the_machine_with_the_call_whichever_fetches_them(scene: Any, tmp_path: Path) -> None:
    set_stage, _, a, b = scene
    fetcher = await fetches(a, b)
    other = b if fetcher is a else a
    if other is b:
        async with program(a.settings) as api:
            await api.ask("POST", "/cluster/move", {"line": LINE, "machine": "b"})
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tmp_path / "tone.wav", None)
        assert len(await other.live()) == 1 and not await fetcher.live()
        keypad = await call.person.keypad(LINE)
        for key in "57":
            assert not (await keypad.click(text=key)).message
        await call.person.sees(LINE, lambda messages: any("57" in each.message for each in messages))

        # A text of keys is dialled by the one that talks, and not answered by the one that holds the line.
        async with program(a.settings) as api:
            await api.ask("POST", "/cluster/move", {"line": LINE, "machine": fetcher.name})
        await holds(fetcher)
        await write(call.person, "12")
        await has_dialled(other, 4)

        # The one that fetches dies: the one that talks does, after a while.
        await fetcher.kill()
        assert await fetches(other) is other
        while (await keypad.click(text="9")).message:  # noqa: ASYNC110 - what came meanwhile may be old
            await asyncio.sleep(0.1)
        await call.person.sees(LINE, lambda messages: any("579" in each.message for each in messages))
        assert AUTO_ANSWER not in [each.message for each in await call.person.chat_with(LINE)]
    assert set_stage.telegram.bot_refusals(409) == 0


@pytest.mark.timeout(DEMO_S + 30)
async def test_the_keypad_of_a_dead_machine_goes(scene: Any, tmp_path: Path) -> None:
    _, _, a, b = scene
    await fetches(a, b)
    async with answered(scene[0], tmp_path) as call:
        await call.confirm(tmp_path / "tone.wav", None)
        await call.person.keypad(LINE)
        await has_a_call(a, "talking")
        await a.kill()
        await call.person.sees(LINE, lambda chat: not any(each.buttons for each in chat), KEYPAD_GOES_S)


async def test_a_silent_machine_and_nats_that_is_away_are_alerts(scene: Any) -> None:
    _, nats, a, b = scene
    async with program(b.settings) as on_b:

        async def told(sentence: str) -> None:
            while True:
                opened = (await on_b.ask("GET", "/alerts"))["open"]
                if any(sentence in each["sentence"] for each in opened):
                    return
                await asyncio.sleep(0.5)

        await on_b.ask("PATCH", "/alerts/settings", {"orange_minutes": 0.01})
        assert 'astergram_cluster_machine_up{machine="a"} 1.0' in await b.cli("metrics")
        await a.kill()
        await told("Machine a of the cluster is silent")
        printed = await b.cli("metrics")
        for each in ('machine_up{machine="a"} 0.0', 'machine_up{machine="b"} 1.0', "lines_held 1.0", "connected 1.0"):
            assert f"astergram_cluster_{each}" in printed
        await nats.kill(0)
        await told("NATS servers do not answer")
        assert "astergram_cluster_connected 0.0" in await b.cli("metrics")


async def test_a_call_that_rings_is_answered_by_the_other_machine(scene: Any, tmp_path: Path) -> None:
    set_stage, _, a, b = scene
    async with answered(set_stage, tmp_path) as call:
        await call.rings()
        await a.kill()
        await a.start()
        await call.confirm(tmp_path / "tone.wav", None)
        while await a.live():  # noqa: ASYNC110 - until it has seen that its call is another machine's
            await asyncio.sleep(0.1)
        assert len(await b.live()) == 1
    # Nor is a text lost that comes before anybody knows that the holder is dead.
    await a.kill()
    assert await answers(set_stage, written=True) == [AUTO_ANSWER]


@pytest.mark.parametrize("scene", [{"lease_s": LONG_LEASE_S}], ids=["long lease"], indirect=True)
async def test_a_text_to_a_holder_that_is_killed_and_back_within_its_lease_is_answered_once(scene: Any) -> None:
    set_stage, _, a, b = scene
    await a.kill()
    async with set_stage.person(BORIS) as boris:
        await write(boris)
    await a.start(leads=True)
    assert await answers(set_stage, written=False) == [AUTO_ANSWER]
    assert "acts for it now" not in b.program.log.read_text()
    # The next one is the first that the holder hears of.
    assert await answers(set_stage, written=True, least=2) == [AUTO_ANSWER] * 2


async def takes(machine: Machine, other: Machine) -> None:
    """Wait until a machine knows that the other one could take a call to the line."""
    async with program(machine.settings) as api:
        while True:
            machines = (await api.ask("GET", "/cluster"))["machines"]
            if any(LINE in each["takes"] for each in machines if each["machine"] == other.name):
                return
            await asyncio.sleep(0.1)


async def holds(machine: Machine) -> None:
    """Wait until a machine says that it holds the line."""
    async with program(machine.settings) as api:
        while True:
            machines = (await api.ask("GET", "/cluster"))["machines"]
            if any(LINE in each["lines"] for each in machines if each["machine"] == machine.name):
                return
            await asyncio.sleep(0.1)


async def has_dialled(machine: Machine, digits: int) -> None:
    """Wait until it has sent so many in its call."""
    (call,) = await machine.live()
    async with program(machine.settings) as api:
        while True:
            events = (await api.ask("GET", f"/calls/{call['call']['id']}"))["events"]
            if sum(each["fields"]["count"] for each in events if each["type"] == "DigitsDialled") == digits:
                return
            await asyncio.sleep(0.1)


async def has_a_call(machine: Machine, state: str) -> None:
    """Wait until its call has come so far."""
    while [each["state"] for each in await machine.live()] != [state]:  # noqa: ASYNC110 - no event is at hand
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "scene", [{"on_stop": "hang_up"}, {"on_stop": "hand_over"}], ids=["hang_up", "hand_over"], indirect=True
)
async def test_machines_are_restarted_in_turn_while_calls_ring(scene: Any, tmp_path: Path) -> None:
    set_stage, _, a, b = scene
    for stopped, other, caller in ((a, b, ANNA), (b, a, BORIS)):
        async with program(stopped.settings) as api:
            await api.ask("POST", "/cluster/move", {"line": LINE, "machine": stopped.name})
        await takes(stopped, other)
        async with answered(set_stage, tmp_path, caller) as call:
            await call.rings()
            await has_a_call(stopped, "ringing")
            await stopped.stop()
            await call.confirm(tmp_path / "tone.wav", None)
            await has_a_call(other, "talking")
            await stopped.start()
            assert len(await other.live()) == 1 and not await stopped.live()
            assert [type(each).__name__ for each in call.updates].count("PhoneCallAccepted") == 1
    await histories(a, b, calls=4)
    statuses = [(machine, status) for machine, status, _ in (await a.history()).values()]
    assert sorted(statuses) == [("a", "ANSWER"), ("a", "CANCEL"), ("b", "ANSWER"), ("b", "CANCEL")]


async def test_each_machine_has_the_history_of_both(scene: Any, tmp_path: Path) -> None:
    set_stage, nats, a, b = scene
    tone = tmp_path / "tone.wav"
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
    async with program(a.settings) as api:
        await api.ask("POST", "/cluster/move", {"line": LINE, "machine": "b"})
    await b.program.acts_for_a_line()
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
    assert await histories(a, b, calls=2) == {"a", "b"}
    (theirs,) = (id for id, (machine, _, _) in (await a.history()).items() if machine == "b")
    assert "CallOffered" in await a.cli("calls", "show", theirs, "--json")

    # What happens while a machine is away it has when it is back; so does the other one what NATS could not take.
    await a.stop()
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
    await nats.kill(0)
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tone, None)
    await a.start()
    await nats.start(0)
    assert await histories(a, b, calls=4) == {"a", "b"}

    # Nobody is in any of them who was erased on one.
    async with program(a.settings) as api:
        (who,) = (await api.ask("GET", f"/people?text={quote('Анна')}"))["people"]
        await api.ask("POST", f"/people/{who['id']}/erase", {})
    await histories(a, b, calls=4, named=0)


async def histories(*machines: Machine, calls: int, named: int | None = None) -> set[str]:
    """Wait until all have so many calls that are over, and the same ones: which machines' those are."""
    while True:
        found = [await each.history() for each in machines]
        names = [name for _, _, name in found[0].values() if name]
        if found.count(found[0]) == len(found) and len(found[0]) == calls and named in (None, len(names)):
            return {machine for machine, _, _ in found[0].values()}
        await asyncio.sleep(0.1)


async def test_a_machine_signs_a_line_in_by_another_one(scene: Any, tmp_path: Path) -> None:
    set_stage, _, a, b = scene
    await b.stop()
    b.settings.session(LINE).unlink()  # it has never been signed in there
    await b.start()
    assert "Signed in." in await b.cli("line", "signin", LINE, "--by-machine")
    async with program(a.settings) as api:
        steps = await api.ask("GET", f"/lines/{LINE}/setup")
        assert "Astergram on b" in json.dumps(steps)
    await a.kill()
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tmp_path / "tone.wav", None)
        assert len(await b.live()) == 1
    for each in (a, b):
        assert SECRET not in each.program.log.read_text()


async def test_a_line_that_is_signed_in_on_one_machine_is_signed_in_on_the_other_by_itself(scene: Any) -> None:
    set_stage, _, a, b = scene
    telegram = set_stage.telegram
    telegram.add_user(NEW_LINE, "New")
    telegram.add_user(WITH_PASSWORD, "Safe", password=SECRET)
    async with program(a.settings) as on_a, program(b.settings) as on_b:
        for line in (NEW_LINE, WITH_PASSWORD):
            signing = f"/lines/{line}/sign-in"
            await on_a.ask("POST", "/lines", {"number": line})
            await on_a.ask("POST", signing, {"way": "code"})
            found = await on_a.ask("POST", f"{signing}/code", {"code": telegram.login_code(line)})
            if found["state"] == "password needed":
                await on_a.ask("POST", f"{signing}/password", {"password": SECRET})
        while (await signed_in(b, NEW_LINE)) != ["a", "b"]:  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)
        assert "Astergram on b" in json.dumps(await on_a.ask("GET", f"/lines/{NEW_LINE}/setup"))

        # Only the password is asked for.
        while (await account_of(b, WITH_PASSWORD)).count("two-step password") == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert (await on_b.ask("GET", signing))["state"] == "password needed"
        await on_b.ask("POST", f"{signing}/password", {"password": SECRET})
        while (await signed_in(a, WITH_PASSWORD)) != ["a", "b"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert await account_of(b, WITH_PASSWORD) == "Connected to Telegram."


async def account_of(machine: Machine, line: str) -> str:
    """What the light of a line's account says on a machine."""
    async with program(machine.settings) as api:
        return str((await api.ask("GET", f"/lines/{line}"))["lights"]["client"]["sentence"])


async def signed_in(machine: Machine, line: str) -> list[str]:
    """On which machines a line is signed in, as one of them knows."""
    async with program(machine.settings) as api:
        machines = (await api.ask("GET", "/cluster"))["machines"]
    return [each["machine"] for each in machines if line in each["devices"]]


async def test_what_is_set_on_one_machine_is_set_on_both(scene: Any) -> None:
    _, nats, a, b = scene
    async with program(a.settings) as on_a, program(b.settings) as on_b:

        async def same() -> Any:
            """What is set on both, once it is the same."""
            while True:
                settings = [
                    {
                        path: await each.ask("GET", path)
                        for path in ("/installation", f"/lines/{LINE}/settings", "/lines", "/users")
                    }
                    for each in (on_a, on_b)
                ]
                numbers = [[line["number"] for line in each.pop("/lines")] for each in settings]
                users = [[user["name"] for user in each.pop("/users")] for each in settings]
                if settings[0] == settings[1] and numbers[0] == numbers[1] and users[0] == users[1]:
                    return settings[0], numbers[0], users[0]
                await asyncio.sleep(0.1)

        await on_a.ask("PATCH", f"/lines/{LINE}/settings", {"name": "Acme Sales"})
        await on_b.ask("POST", "/lines", {"number": NEW_LINE})
        await on_b.ask("PATCH", "/installation", {"company": "Acme Ltd"})
        await on_b.ask("POST", "/users", {"name": "acme-anna", "role": "viewer"})
        settings, numbers, users = await same()
        assert (settings["/installation"]["company"], numbers) == ("Acme Ltd", [LINE, NEW_LINE])
        assert users == ["acme-anna", "admin"]
        assert settings[f"/lines/{LINE}/settings"]["name"] == "Acme Sales"
        assert not [each for each in nats.run_dir.rglob("*") if each.is_file() and b"acme" in each.read_bytes().lower()]

        picture = jpeg()
        await on_a.upload(f"/lines/{LINE}/card/picture?name=acme.jpg", picture)
        while not (files := await on_b.ask("GET", f"/lines/{LINE}/card")):  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)
        assert (files, files[0]["size"]) == (await on_a.ask("GET", f"/lines/{LINE}/card"), len(picture))

        await nats.stop(0)
        with pytest.raises(RequestRefused, match="NATS has not answered, so nothing was changed"):
            await on_a.upload(f"/lines/{LINE}/card/picture", picture)
        for path, change in (("/installation", {"company": ""}), (f"/lines/{LINE}/settings", {"name": ""})):
            with pytest.raises(RequestRefused, match="NATS has not answered, so nothing was changed"):
                await on_a.ask("PATCH", path, change)
        with pytest.raises(RequestRefused, match="NATS has not answered"):
            await on_a.ask("DELETE", f"/lines/{NEW_LINE}")
        with pytest.raises(RequestRefused, match="NATS has not answered"):
            await on_a.ask("DELETE", "/users/acme-anna")
        assert await same() == (settings, numbers, users)

        await nats.start(0)
        removed = False
        while not removed:  # it is not connected again at once
            await asyncio.sleep(0.5)
            with suppress(RequestRefused):
                await on_a.ask("DELETE", f"/lines/{NEW_LINE}")
                removed = True
        assert (await same())[1] == [LINE]


@pytest.mark.timeout(DEMO_S + 30)
async def test_the_demo_on_two_machines(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    printed, status = await printed_by("demo", "--machines", 2, "--seconds", 2, "--folder", folder, within_s=DEMO_S)
    assert status == 0, printed
    report = json.loads((folder / "report.json").read_text())
    assert report["ok"], printed
    assert [call["status"] for call in report["calls"]] == ["ANSWER", "ANSWER"]
    assert report["answered_after_kill_ms"] > 0
