"""Settings of one part of the program, such as its alerts: set by an administrator while it runs, kept as JSON."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    ValidationError,
)

from ari_app.lines.sent_secrets import SentTo, sent_elsewhere
from ari_app.lines.settings import WITH_SECRETS, SettingRefused
from ari_app.lines.versions import check_version
from ari_app.store.parts import PartRepository
from ari_app.store.store import Store
from ari_app.wrong import Wrong, wrong_in

log = logging.getLogger(__name__)


def _told(secret: SecretStr | None, info: SerializationInfo) -> str | None:
    return secret.get_secret_value() if secret is not None and info.context == WITH_SECRETS else None


StoredSecret = Annotated[
    SecretStr | None, BeforeValidator(lambda given: given or None), PlainSerializer(_told, when_used="json")
]
"""A secret that the store keeps, and nothing shows; an empty one is none."""


class PartModel(BaseModel):
    """What can be set for a part; every setting has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    sent_to: ClassVar[SentTo] = {}

    def wrong(self) -> Sequence[Wrong]:
        """What does not go together."""
        return ()


Its = TypeVar("Its", bound=PartModel)


class PartSettings(Generic[Its]):
    """The settings of the part ``name`` now; before `load` they are the ``defaults``."""

    def __init__(self, store: Store, name: str, defaults: Its) -> None:
        self.name = name
        self.settings = defaults
        self._defaults = defaults
        self._kept = PartRepository(store, name)
        self._followers: list[Callable[[], Awaitable[None]]] = []
        self._changing = asyncio.Lock()

    def on_change(self, follow: Callable[[], Awaitable[None]]) -> None:
        """Have something done after each change, before it counts as made."""
        self._followers.append(follow)

    async def load(self) -> None:
        """Read what was set before; what can't be read is as if it had never been set. Raises StoreUnavailable."""
        kept = await self._kept.read()
        try:
            self.settings = self._with(json.loads(kept)) if kept else self._defaults
        except (ValueError, SettingRefused) as error:
            log.error("the settings of %s can't be read, set them again: %s", self.name, error)  # noqa: TRY400 - a sentence

    async def change(self, changes: Mapping[str, Any], read: Collection[str] | None = None) -> Its:
        """Set some of it; None is the default. ``read``: only if the settings are still one of these versions.

        Raises SettingsChanged, SettingRefused, StoreUnavailable.
        """
        async with self._changing:
            check_version(self.settings, changes, read)
            known = self.settings.model_dump(mode="json", context=WITH_SECRETS, exclude_defaults=True)
            merged = {name: value for name, value in {**known, **changes}.items() if value is not None}
            settings = self._with(merged)
            elsewhere = sent_elsewhere(settings.sent_to, settings, changes, [self.settings, self._defaults])
            if wrong := [*settings.wrong(), *elsewhere]:
                raise SettingRefused(*wrong)
            await self._kept.save(settings.model_dump_json(context=WITH_SECRETS, exclude_defaults=True))
            self.settings = settings
        for follow in self._followers:
            await follow()
        return settings

    def _with(self, values: Mapping[str, Any]) -> Its:
        try:
            return type(self._defaults).model_validate(values)
        except ValidationError as error:
            raise SettingRefused(*wrong_in(error)) from None
