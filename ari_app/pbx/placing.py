"""A call that a program or an administrator asks for: the PBX's side rings first, then the person.

With a key (Idempotency-Key, draft-ietf-httpapi-idempotency-key-header) the same request never places a second call.
"""

import hashlib
import json
import time
from collections.abc import Callable

from ari_app.asterisk.legs import ENDPOINT, is_extension
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.i18n import Message, message
from ari_app.pbx.services import PbxServices
from ari_app.store.placed_calls import PlacedCallRepository
from ari_app.store.store import Store
from ari_app.telegram.line import Line
from ari_app.telegram.profile import Target
from ari_app.wrong import Told

NO_TARGET = message(
    "Enter an extension and its context, such as 101@phones, a phone's extension alone, such as 101, or its endpoint, "
    "such as PJSIP/101."
)


class NoContext(Told):
    """A phone's extension was given alone, and nothing says in which context it is dialled; no call was placed."""

    def __init__(self, line: Line, extension: str) -> None:
        super().__init__(
            message(
                "{extension} alone is dialled in the context of “Whom it rings first” of the line's card "
                "(card.callback), and line {line} has none: enter {extension}@ and its context, or an endpoint such as "
                "PJSIP/{extension}.",
                extension=extension,
                line=line.number,
            )
        )


class KeyRefused(Exception):
    """A key can't be used; no call was placed. ``sentence`` says why."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class KeyReused(KeyRefused):
    """It was used for another request."""


class KeyInUse(KeyRefused):
    """Its request is being carried out, or nobody knows what became of it."""


class CallPlacer:
    """Places calls, and remembers keys, also over a restart; ``clock`` gives Unix time."""

    def __init__(
        self, services: PbxServices, dispatcher: CallDispatcher, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        self._services = services
        self._dispatcher = dispatcher
        self._keys = PlacedCallRepository(store)
        self._clock = clock
        self._placing: set[str] = set()

    async def place(self, line: str | None, to: str, target: Target, key: str = "") -> str:
        """Ring somebody in the PBX, then call a person; the call's id, of a key that was used before the call's then.

        Raises MalformedDestination, NoContext, NotReady, CallRefused; KeyReused, KeyInUse, and with a key
        StoreUnavailable.
        """
        if not key:
            return await self._place(line, to, target)
        request = hashlib.sha256(json.dumps([line, to, target.extension, target.context]).encode()).hexdigest()
        if key in self._placing:
            raise KeyInUse(message("The call of this key is being placed: ask again in a moment."))
        self._placing.add(key)
        try:
            return await self._place_once(line, to, target, key, request)
        finally:
            self._placing.discard(key)

    async def _place_once(self, line: str | None, to: str, target: Target, key: str, request: str) -> str:
        known = await self._keys.reserve(key, request, self._clock())
        if known is None:
            try:
                call_id = await self._place(line, to, target)
            except Exception:
                self._keys.free(key)
                raise
            self._keys.placed(key, call_id)
            return call_id
        if known.request != request:
            raise KeyReused(message("This key was used for another call: give each call a key of its own."))
        if not known.call:
            raise KeyInUse(
                message(
                    "Astergram was stopped while it placed the call of this key, so nobody knows whether it was: "
                    "look into the history, and use another key."
                )
            )
        return known.call

    async def _place(self, line: str | None, to: str, target: Target) -> str:
        chosen = self._services.choose(line, target.extension.rpartition("/")[2])
        if not target.context and not ENDPOINT.fullmatch(target.extension):
            if chosen.card.callback is None:
                raise NoContext(chosen, target.extension)
            target = Target(target.extension, chosen.card.callback.context)
        return await self._dispatcher.click_to_call(chosen, to, target)


def target_of(text: str) -> Target | None:
    """EXTENSION@CONTEXT, a phone's extension, or its endpoint (PJSIP/101); None for what is none of them."""
    if ENDPOINT.fullmatch(text):
        return Target(text)
    extension, at, context = text.partition("@")
    return Target(extension, context) if is_extension(extension) and (not at or is_extension(context)) else None
