"""Erasing on every machine of a cluster: the others are told, and what they tell is obeyed."""

from __future__ import annotations

import logging
from typing import Any

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.erasures import Erasures
from ari_app.i18n import message
from ari_app.people.data_subject import DataSubject
from ari_app.people.errors import NotErased, PersonRefused
from ari_app.people.people import People
from ari_app.reports.audit import PROGRAM, AuditLog
from ari_app.store.store import StoreUnavailable

log = logging.getLogger(__name__)


async def tell(erasures: Erasures, who: DataSubject) -> None:
    """Have the other machines erase somebody. Raises NotErased."""
    try:
        await erasures.tell(who.as_data())
    except EngineAway as error:
        raise NotErased(
            message(
                "The cluster's NATS servers do not answer ({error}), so the other machines can't be told, and nothing "
                "was erased here: try again.",
                error=str(error),
            )
        ) from error


async def obey(people: People, audit: AuditLog, who: dict[str, Any]) -> bool:
    """Erase somebody whom another machine has erased; False where that has to wait, as for the end of a call."""
    try:
        erased = await people.erase_as_told(DataSubject.of_data(who))
    except (PersonRefused, StoreUnavailable) as error:
        log.warning("a person whom another machine has erased can't be erased yet, it is tried again: %s", error)
        return False
    except (ValueError, KeyError, TypeError):
        log.error("an order to erase a person is not understood: erase them on this machine")  # noqa: TRY400 - of whom
        return True
    audit.record(PROGRAM, "person erased", "", {kind: (count, 0) for kind, count in erased.kept.items() if count})
    return True
