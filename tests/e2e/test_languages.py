"""A person's language, which only the bot is told, and only when they press a button."""

from ari_app.sandbox.stage import ANNA, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PlayMaker, started

BY_LANGUAGE = '[menu]\nexten => _X.,1,Dial(PJSIP/${IF($["${TELEGRAM_LANGUAGE}" = "ru"]?102:101)},20)\n'
SETTINGS = {"number": LINE, "context": "menu", "language": "en", "card": {"callback": "605@phones"}}


async def test_a_press_tells_the_language_of_what_comes_next(play: PlayMaker) -> None:
    """Also after a restart."""
    async with (
        play(bot=True, dialplan=BY_LANGUAGE, lines=[SETTINGS]) as stage,
        stage.phone("101") as english,
        stage.phone("102") as russian,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        keypad = await anna.keypad(LINE)
        assert "You are calling" in keypad.message
        await keypad.click(text="1")
        await english.incoming()
        await call.hang_up(DiscardReason.MISSED)
        await english.closed()
        await stage.call_over()
        await anna.sees(LINE, lambda messages: not messages)

        await stage.stop_astergram()
        async with started(stage.settings) as restarted:
            call = await anna.call(LINE)
            assert "Вы звоните" in (await anna.keypad(LINE)).message
            await russian.incoming()
            await call.hang_up(DiscardReason.MISSED)
            await russian.closed()
            await restarted.registry.idle()
            await anna.sees(LINE, lambda messages: not messages)

            await english.dial(ANNA)
            call = await anna.incoming()
            await call.ring()
            await english.wait_for("CALL_RINGING")
            await call.hang_up(DiscardReason.BUSY)
            await english.closed()
            assert "Здравствуйте" in (await anna.keypad(LINE)).message
            await restarted.registry.idle()
