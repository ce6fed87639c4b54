"""How long a line's lights take to tell what has happened."""

import asyncio
import os
import signal
import time

from ari_app.app import Astergram, running
from ari_app.config import Settings
from ari_app.lines.health import Colour
from ari_app.sandbox.stage import BOT, LINE, Stage
from ari_app.telegram.setup import Step

LIGHT_S = 60.0


async def lights(settings: Settings, setting: Stage) -> dict[str, float]:
    """Seconds from each fact until the light shows it; the line has a bot."""
    times: dict[str, float] = {}
    telegram, asterisk = setting.telegram, setting.asterisk.pid
    async with running(settings) as app:
        await app.first_attempt_done()

        async def seen(what: str, name: str, colour: Colour) -> None:
            times[what] = await _until(app, name, colour)

        os.kill(asterisk, signal.SIGSTOP)
        await seen("Asterisk hangs", "asterisk", Colour.ORANGE)
        os.kill(asterisk, signal.SIGCONT)
        await seen("Asterisk goes on", "asterisk", Colour.GREEN)
        async with telegram.away():
            await seen("Telegram takes no connections", "account", Colour.ORANGE)
        await seen("Telegram takes connections again", "account", Colour.GREEN)
        with telegram.silent():
            await seen("Telegram falls silent", "account", Colour.ORANGE)
        await seen("Telegram answers again", "account", Colour.GREEN)
        await app.services.account_setup.carry_out(LINE, [Step.BOT_DIALOGUE])
        await seen("there is a dialogue with the bot", "bot", Colour.GREEN)
        telegram.set_inline(BOT, False)
        await seen("inline mode is off", "bot", Colour.RED)
        telegram.set_inline(BOT, True)
        await seen("inline mode is on", "bot", Colour.GREEN)
        telegram.revoke_bot_token(BOT)
        await seen("the bot's token is revoked", "bot", Colour.RED)
        telegram.revoke_sessions(LINE)
        await seen("the line's session is revoked", "account", Colour.RED)
    return times


async def _until(app: Astergram, name: str, colour: Colour) -> float:
    began = time.perf_counter()
    with app.services.bus.subscribe() as events:
        async with asyncio.timeout(LIGHT_S):
            while getattr(app.services.statuses.status(app.lines.line(LINE)), name).colour is not colour:
                await events.get()
    return time.perf_counter() - began
