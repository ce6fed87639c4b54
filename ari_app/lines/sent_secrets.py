"""A stored secret goes to no other server than the one that it was entered for: it is never shown, and stays so."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ari_app.i18n import message
from ari_app.wrong import Wrong

SentTo = Mapping[str, tuple[str, ...]]
"""Settings that are secrets, each with those that say to which server it is sent, the host first."""
AGAIN = message("It was entered for another server: enter it again, or remove it.")


def sent_elsewhere(
    sent_to: SentTo, wanted: BaseModel, changes: Mapping[str, Any], known: Sequence[BaseModel]
) -> Iterator[Wrong]:
    """The secrets that a change would have sent to a server that ``known`` settings do not send them to.

    Whoever enters it in the same change may: they know it.
    """
    for secret, (host, *more) in sent_to.items():
        together = [_values(each, secret, host, *more) for each in (wanted, *known)]
        if all(_values(wanted, secret, host)) and not changes.get(secret) and together[0] not in together[1:]:
            yield Wrong(secret, AGAIN)


def _values(settings: BaseModel, *names: str) -> list[Any]:
    return [getattr(settings, name) for name in names]
