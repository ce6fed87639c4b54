"""Messages in a language, for who needs no page; its words are read by the first who asks."""

from __future__ import annotations

import asyncio
from functools import cache

from ari_app.alerts.texts import Translate


async def translator(language: str) -> Translate:
    """What puts messages into a language. Reading its words takes a while, the first time."""
    if language == "en":
        return str
    return await asyncio.to_thread(_translate_into, language)


@cache
def _translate_into(language: str) -> Translate:
    from ari_app.web.ui.languages import languages

    return languages()[language].translate
