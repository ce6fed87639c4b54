"""What a dialplan asks by FastAGI: a real Asterisk's AGI(), a line on the local Telegram, people's chats."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

import dialplan
from ari_app.asterisk.agi import closed
from ari_app.asterisk.ami import Ami, Fields
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from tests.e2e.conftest import GONE_S, Play, PlayMaker, nothing_left_in

NOBODY = "+79990000044"
RESOLVE = "contacts.resolvePhone"
DIALPLAN = """
[phones](+)
exten => 103,1,Set(TELEGRAM_ID=)
 same => n,Set(TELEGRAM_CALL=)
 same => n,AGI({agi}/identity)
 same => n,UserEvent(Asked,Status: ${{TELEGRAM_AGI_STATUS}},Id: ${{TELEGRAM_ID}},Call: ${{TELEGRAM_CALL}})
 same => n,Dial(PJSIP/103,30)

; What is asked, script and arguments, is in the variable ASKED.
[asked]
exten => wait,1,Wait(60)
exten => ask,1,Answer()
 same => n,AGI({agi}/${{ASKED}})
 same => n,Gosub(tell,s,1)
[asked-until-hung-up]
exten => ask,1,Answer()
 same => n,AGI({agi}/${{ASKED}})
exten => h,1,Gosub(tell,s,1)
[asked-when-hung-up]
exten => ask,1,Answer()
 same => n,Hangup()
exten => h,1,AGI({agi}/${{ASKED}})
 same => n,Gosub(tell,s,1)
[tell]
exten => s,1,Set(ABOUT=Status: ${{TELEGRAM_AGI_STATUS}},Exists: ${{TELEGRAM_EXISTS}},Name: ${{TELEGRAM_FIRST_NAME}})
 same => n,Set(ABOUT=${{ABOUT}},Sent: ${{TELEGRAM_SENT}},Card: ${{TELEGRAM_CARD}},Phone: ${{TELEGRAM_PHONE}})
 same => n,Set(ABOUT=${{ABOUT}},State: ${{TELEGRAM_LINE_STATE}},Free: ${{TELEGRAM_LINE_FREE}})
 same => n,UserEvent(Asked,${{ABOUT}},Pause: ${{TELEGRAM_LINE_PAUSE}},Agi: ${{AGISTATUS}})
 same => n,Return()
"""


def lookup_first(port: int) -> str:
    """dialplan/example-lookup.conf, for the phones; phone 102 stands for the trunk."""
    example = (Path(dialplan.__file__).parent / "example-lookup.conf").read_text()
    assert "/lookup," in example
    ours = example.replace(":4573/", f":{port}/").replace("PJSIP/${FILTER(+0-9,${EXTEN})}@trunk", "PJSIP/102")
    return ours.replace("[telegram-if-there]", "[phones](+)")


class Asking:
    """A dialplan that asks, and tells what it has got."""

    def __init__(self, stage: Play, ami: Ami) -> None:
        self.stage = stage
        self._told: asyncio.Queue[Fields] = asyncio.Queue()
        ami.on_event("UserEvent", self._take)

    def _take(self, event: Fields) -> None:
        if event["UserEvent"] == "Asked":
            self._told.put_nowait(event)

    async def told(self) -> dict[str, str]:
        """What the dialplan tells next; a field that is empty does not come over AMI."""
        async with asyncio.timeout(GONE_S):
            return defaultdict(str, {name: str(value) for name, value in (await self._told.get()).items()})

    async def ask(self, request: str) -> dict[str, str]:
        """Ask on a channel of its own; what it has then."""
        await self.begin(request)
        return await self.told()

    async def begin(self, request: str, context: str = "asked") -> None:
        """Not by Astergram's own client of ARI: it may have been stopped."""
        asterisk = self.stage.asterisk
        where = {"endpoint": f"Local/ask@{context}/n", "context": "asked", "extension": "wait"}
        headers = {"Authorization": aiohttp.encode_basic_auth(asterisk.ari_user, asterisk.ari_password)}
        async with (
            aiohttp.ClientSession(headers=headers, raise_for_status=True) as session,
            session.post(f"{asterisk.ari_url}/channels", params=where, json={"variables": {"ASKED": request}}),
        ):
            pass


@asynccontextmanager
async def asking(play: PlayMaker, **sections: Any) -> AsyncIterator[Asking]:
    with block(1) as ports:
        agi = {"port": ports[0], **sections.pop("agi", {})}
        lines = lookup_first(ports[0]) + DIALPLAN.format(agi=f"agi://{HOST}:{ports[0]}")
        async with play(dialplan=lines, agi=agi, **sections) as stage:
            asterisk = stage.asterisk
            async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
                yield Asking(stage, ami)


async def test_telegram_first_and_then_the_trunk(play: PlayMaker) -> None:
    """The trunk also takes what is dialled while Astergram does not run."""
    async with (
        asking(play) as asks,
        asks.stage.phone() as phone,
        asks.stage.phone("102") as trunk,
        asks.stage.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        await (await anna.incoming()).hang_up()
        await phone.closed()
        await asks.stage.call_over()
        await phone.dial(NOBODY)
        await trunk.incoming()
        await trunk.hangup()
        await phone.closed()
        await asks.stage.stop_astergram()
        await phone.dial(ANNA)
        await trunk.incoming()
        await trunk.hangup()
        await phone.closed()
        told = await asks.ask(f"lookup,{ANNA}")
        assert (told["Agi"], told["Status"], told["Exists"]) == ("FAILURE", "", "")


async def test_who_hangs_up_is_let_go_though_nobody_answers(play: PlayMaker) -> None:
    """As while Astergram's process stands still: what connects is taken by the system, and gets no answer."""
    connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    mute = await asyncio.start_server(lambda _, writer: connected.put_nowait(writer), HOST, 0)
    lookup = lookup_first(mute.sockets[0].getsockname()[1])
    async with mute, play(dialplan=lookup) as stage, stage.phone() as phone:
        await phone.dial(ANNA)
        async with asyncio.timeout(GONE_S):
            writer = await connected.get()
        with closed(writer):
            await phone.hangup()
            assert await nothing_left_in(stage.asterisk) == []


async def test_who_is_on_telegram(play: PlayMaker) -> None:
    lines = [{"number": LINE, "lookups_per_minute": 3, "deny": [BORIS]}]
    async with asking(play, lines=lines) as asks:
        for _ in range(5):  # asked of Telegram once
            told = await asks.ask(f"lookup,{ANNA}")
            assert (told["Exists"], told["Name"], told["Status"], told["Agi"]) == ("yes", "Анна", "OK", "SUCCESS")
        told = await asks.ask(f"lookup,{NOBODY}")
        assert (told["Exists"], told["Name"], told["Status"]) == ("no", "", "NOTFOUND")
        told = await asks.ask(f"lookup,{BORIS},line={LINE}")
        assert (told["Exists"], told["Name"], told["Status"]) == ("unknown", "", "RESTRICTED")
        told = await asks.ask("lookup,112")  # no Telegram id that the line has met
        assert (told["Exists"], told["Status"]) == ("no", "NOTFOUND")
        told = await asks.ask("lookup,+79990000045")
        assert (told["Exists"], told["Status"]) == ("limited", "LIMITED")
        told = await asks.ask(f"lookup,{ANNA}")
        assert told["Exists"] == "yes"
        assert asks.stage.telegram.requests(RESOLVE, LINE) == 2
        told = await asks.ask(f"lokup,{ANNA}")
        assert (told["Status"], told["Agi"]) == ("MALFORMED", "SUCCESS")


async def test_a_telegram_that_is_slow(play: PlayMaker) -> None:
    async with asking(play, agi={"timeout_s": 1.0}) as asks:
        asks.stage.telegram.delay(RESOLVE, 8.0)
        told = await asks.ask(f"lookup,{ANNA}")
        assert (told["Exists"], told["Status"], told["Agi"]) == ("unknown", "TIMEOUT", "SUCCESS")


async def test_a_channel_that_is_hung_up_meanwhile(play: PlayMaker) -> None:
    """Its `h` extension has the answer, and may ask, too."""
    async with asking(play, agi={"timeout_s": 30.0}) as asks, asks.stage.person(ANNA) as anna:
        asks.stage.telegram.delay(RESOLVE, 1.0)
        await asks.begin(f"lookup,{ANNA}", "asked-until-hung-up")
        async with asyncio.timeout(GONE_S):
            while not asks.stage.telegram.requests(RESOLVE, LINE):  # noqa: ASYNC110 - it has no event for us
                await asyncio.sleep(0.05)
        await asks.stage.asterisk.cli("channel request hangup all")
        told = await asks.told()
        assert (told["Agi"], told["Exists"], told["Name"]) == ("HANGUP", "yes", "Анна")
        await asks.begin(f"send,{ANNA},We called you", "asked-when-hung-up")
        told = await asks.told()
        assert (told["Sent"], told["Status"]) == ("yes", "OK")
        await anna.sees(LINE, lambda messages: [each for each in messages if each.message == "We called you"])


async def test_a_text_and_a_card(play: PlayMaker) -> None:
    card = {"no_answer": False, "callback": "605@phones"}
    texts = {"ru": {"card": "{caller_name}, we called", "card_button": "Call me"}}
    lines = [{"number": LINE, "language": "ru", "texts": texts, "card": card}]
    async with asking(play, bot=True, lines=lines, agi={"timeout_s": 20.0}) as asks, asks.stage.person(ANNA) as anna:
        told = await asks.ask(f'send,{ANNA},Анна, "your order" is 50% ready\\, come & see,line={LINE[1:]}')
        assert (told["Sent"], told["Status"]) == ("yes", "OK")
        sent = "Анна, your order is 50% ready, come & see"  # Asterisk has taken the quotes and the backslash
        await anna.sees(LINE, lambda messages: [each for each in messages if each.message == sent])
        told = await asks.ask(f"card,{ANNA}")
        assert (told["Card"], told["Status"]) == ("yes", "OK")
        shown = await anna.keypad(LINE)
        assert shown.message == "Анна, we called"
        assert [[button.text for button in row] for row in shown.buttons] == [["Call me"]]
        told = await asks.ask(f"card,{ANNA}")
        assert (told["Card"], told["Status"]) == ("no", "LIMITED")
        told = await asks.ask(f"send,{NOBODY},Hello")
        assert (told["Sent"], told["Status"]) == ("no", "NOTFOUND")
        asks.stage.telegram.refuse("messages.sendMessage", "USER_IS_BLOCKED")
        told = await asks.ask(f"send,{ANNA},Hello")
        assert (told["Sent"], told["Status"]) == ("no", "RESTRICTED")
        assert len(await anna.chat_with(LINE)) == 2


async def test_a_line(play: PlayMaker) -> None:
    async with asking(play) as asks, asks.stage.phone(auto_answer=True) as phone, asks.stage.person(ANNA) as anna:
        told = await asks.ask(f"line,{LINE[1:]}")
        assert (told["State"], told["Free"], told["Pause"], told["Status"]) == ("online", "2", "0", "OK")
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await asks.stage.talking()
        assert (await asks.ask(f"line,{LINE}"))["Free"] == "1"
        await call.hang_up()
        await phone.closed()
        await asks.stage.call_over()
        asks.stage.telegram.refuse("phone.requestCall", "FLOOD_WAIT_30")
        await phone.dial(ANNA)
        await phone.closed()
        told = await asks.ask(f"line,{LINE}")
        assert (told["State"], told["Free"]) == ("online", "2")
        assert 50 < int(told["Pause"]) <= 60
        asks.stage.telegram.revoke_sessions(LINE)
        async with asyncio.timeout(GONE_S):
            while told["State"] != "signed-out":
                told = await asks.ask(f"line,{LINE}")
        assert told["Free"] == "0"


async def test_whose_call_it_is_after_a_transfer(play: PlayMaker) -> None:
    """In both directions; the channel's own variables are gone."""
    async with (
        asking(play) as asks,
        asks.stage.phone() as phone,
        asks.stage.phone("103", auto_answer=True) as other,
        asks.stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        await call.confirm(None, None)
        await asks.stage.talking()
        await phone.transfer("103")
        await knows_anna(asks)
        await other.established()
        await phone.closed()
        await call.hang_up()
        await other.closed()
        await asks.stage.call_over()

        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await asks.stage.talking()
        await phone.transfer("103")
        await knows_anna(asks)
        await other.established()
        await phone.closed()
        await call.hang_up()
        await other.closed()
        await asks.stage.call_over()
        await phone.dial("103")  # the same extension without a call of Telegram's
        told = await asks.told()
        assert (told["Status"], told["Id"], told["Call"]) == ("NOTFOUND", "", "")
        await other.established()
        await phone.hangup()
        await other.closed()


async def knows_anna(asks: Asking) -> None:
    told = await asks.told()
    call = asks.stage.calls[-1]
    assert (told["Status"], told["Id"], told["Call"]) == ("OK", str(asks.stage.telegram.user(ANNA).id), call.id)
