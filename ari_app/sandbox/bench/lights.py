"""How long a line's lights take to tell what has happened."""

from __future__ import annotations

import asyncio
import time

from ari_app.app import Astergram, running
from ari_app.config import Settings
from ari_app.lines.health import Colour
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import Rig
from ari_app.sandbox.bench.steps import own_stage
from ari_app.sandbox.processes import frozen
from ari_app.sandbox.stage import BOT, LINE, Stage
from ari_app.telegram.setup import Step

LIGHT_S = 60.0
KEY = "slowest_light_ms"


async def measure(rig: Rig, found: Found) -> None:
    """From each fact until the light shows it."""
    if not rig.sizes.lights:
        return found.put(KEY, None, "a quick run waits for no faults")
    async with own_stage(rig.folder / "lights") as (setting, settings):
        times = await _lights(settings, setting)
    for what, seconds in times.items():
        found.row("a line's light tells that", fact=what, ms=round(seconds * 1000))
    return found.put(KEY, round(max(times.values()) * 1000))


async def _lights(settings: Settings, setting: Stage) -> dict[str, float]:
    """Seconds; the line has a bot."""
    times: dict[str, float] = {}
    telegram, asterisk = setting.telegram, setting.asterisk.pid
    async with running(settings) as app:
        await app.first_attempt_done()
        await app.bot.first_attempt_done()

        async def seen(what: str, name: str, colour: Colour) -> None:
            times[what] = await _until(app, name, colour)

        with frozen(asterisk):
            await seen("Asterisk hangs", "asterisk", Colour.ORANGE)
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


PART = Part("lights", "how soon a line's lights tell what has happened", (KEY,), measure)
