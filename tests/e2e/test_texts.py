"""What people write to a line: digits during a call are dialled, anything else is answered by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telethon import events
from telethon.tl import functions, types

from ari_app.calls.events import DigitsDialled
from ari_app.sandbox.person import Person
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.telegram import quick_aiogram
from tests.e2e.conftest import PlayMaker

BOT = "somebodys_bot"
OTHER_LINE = "+79990000009"
ANSWER_S = 15.0
PAUSE_S = 0.5

READ = "[menu]\nexten => _X.,1,Answer()\n same => n,Read(EXT,,3,,1,20)\n same => n,Dial(PJSIP/${EXT},30)\n"
WAIT_EXTEN = (
    "[menu]\nexten => _XXXX.,1,Dial(PJSIP/101,20,g)\n same => n,Answer()\n same => n,WaitExten(20)\n"
    "exten => _10X,1,Dial(PJSIP/${EXTEN},30)\n"
)


class Correspondence:
    """A person's chat with a line."""

    def __init__(self, person: Person, peer: types.InputPeerUser) -> None:
        self.answers: list[str] = []
        self._person = person
        self._peer = peer
        self._came = asyncio.Condition()
        person.client.add_event_handler(self._take, events.NewMessage(incoming=True))

    @classmethod
    async def of(cls, person: Person, phone: str = LINE) -> "Correspondence":
        found = await person.client(functions.contacts.ResolvePhoneRequest(phone))
        return cls(person, types.InputPeerUser(found.users[0].id, found.users[0].access_hash))

    async def write(self, text: str) -> None:
        await self._person.client(functions.messages.SendMessageRequest(self._peer, text))

    async def answered(self, count: int) -> list[str]:
        """Wait for so many answers."""
        async with asyncio.timeout(ANSWER_S), self._came:
            await self._came.wait_for(lambda: len(self.answers) >= count)
        return self.answers

    async def _take(self, event: Any) -> None:
        async with self._came:
            self.answers.append(event.message.message)
            self._came.notify_all()


@asynccontextmanager
async def bot_program(telegram: LocalTelegram) -> AsyncIterator[Any]:
    await asyncio.to_thread(quick_aiogram.load)
    from aiogram import Bot
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import Message, Update

    for answered in (Message, Update):  # by the methods used here; `quick_aiogram` has left them for later
        answered.model_rebuild()

    server = TelegramAPIServer.from_base(telegram.bot_api_url)
    async with Bot(telegram.add_bot(BOT).token, session=AiohttpSession(api=server)) as bot:
        yield bot


def line(number: str = LINE, auto_answer: str = "{caller_name}, call {company}!", **more: Any) -> dict[str, Any]:
    texts = {"ru": {"auto_answer": auto_answer, "keypad_hint": ""}}
    return {"number": number, "max_calls": 2, "company": "**Acme**", "language": "ru", "texts": texts, **more}


async def test_the_caller_writes_an_extension(play: PlayMaker) -> None:
    """Also: only their own digits count, words are answered once, and the phone they reached gets their digits."""
    async with (
        play(dialplan=READ, lines=[line(context="menu")]) as stage,
        stage.phone("102", auto_answer=True) as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        annas, boriss = await Correspondence.of(anna), await Correspondence.of(boris)
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        await boriss.write("555")
        assert await boriss.answered(1) == ["Boris, call **Acme**!"]
        await annas.write("Sales, please")
        await annas.write("hello?")
        await annas.write("1 0-2")
        await phone.established()
        await annas.write("7,8")
        seven = await phone.wait_for("CALL_DTMF_START")
        eight = await phone.wait_for("CALL_DTMF_START")
        assert (seven.parameter, eight.parameter) == ("7", "8")
        assert eight.at - seven.at >= PAUSE_S
        await call.hang_up()
        await phone.closed()
        await stage.call_over()
        assert annas.answers == ["Анна, call **Acme**!"]
        dialled = [each.event for each in stage.calls[-1].events if isinstance(each.event, DigitsDialled)]
        assert sum(each.count for each in dialled) == 5


async def test_digits_written_while_it_rings_are_dialled_after_the_answer(play: PlayMaker) -> None:
    async with (
        play(dialplan=WAIT_EXTEN, lines=[line(context="menu")]) as stage,
        stage.phone("101") as front_desk,
        stage.phone("102") as phone,
        stage.person(ANNA) as anna,
    ):
        annas = await Correspondence.of(anna)
        call = await anna.call(LINE)
        await front_desk.incoming()
        await annas.write("102")
        await front_desk.hangup()
        await call.confirm(None, None)
        await phone.incoming()
        await call.hang_up()
        await phone.closed()
        assert annas.answers == []


async def test_the_callee_writes_digits_to_the_agent(play: PlayMaker) -> None:
    async with play(lines=[line()]) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        annas = await Correspondence.of(anna)
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await annas.write("4")  # there is nobody yet whom they could dial to
        assert len(await annas.answered(1)) == 1
        await call.accept(None, None)
        await stage.talking()
        await annas.write("5#")
        keys = [(await phone.wait_for("CALL_DTMF_START")).parameter for _ in range(2)]
        assert keys == ["5", "#"]
        await phone.hangup()
        await call.ended()


async def test_who_is_answered_without_a_call(play: PlayMaker) -> None:
    """Digits too; once; not where the text is empty; not another line; not a bot."""
    async with (
        play(lines=[line(), line(OTHER_LINE, auto_answer="")], people={OTHER_LINE: "Support"}) as stage,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
        stage.person(OTHER_LINE) as other_line,
        stage.person(LINE) as same_line,
        bot_program(stage.telegram) as bot,
    ):
        found = await same_line.client(functions.contacts.ResolveUsernameRequest(BOT))
        await same_line.client(functions.messages.StartBotRequest(found.users[0], found.users[0], "hi"))
        for_silence = await Correspondence.of(anna, OTHER_LINE)
        from_line = await Correspondence.of(other_line, LINE)
        annas, boriss = await Correspondence.of(anna), await Correspondence.of(boris)
        await for_silence.write("hello?")
        await from_line.write("hello from another line")
        await bot.send_message(stage.telegram.user(LINE).id, "hello from a bot")
        await annas.write("102")
        await annas.answered(1)
        await annas.write("102")
        await boriss.write("hello")
        await boriss.answered(1)
        assert annas.answers == ["Анна, call **Acme**!"]
        assert from_line.answers == ["hello?"]
        assert [update.message.text for update in await bot.get_updates() if update.message] == ["/start hi"]
