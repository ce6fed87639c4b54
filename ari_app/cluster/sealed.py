"""What machines of a cluster tell each other under the cluster's secret, and what becomes of what can't be read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ari_app.cluster.bucket import WRONG, KeyEntry
from ari_app.cluster.shared_settings import Cipher, NotOurs

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass
class SealedEntries:
    """JSON objects of one bucket. ``what``: for the log."""

    cipher: Cipher
    what: str
    _has_said: bool = False

    def seal(self, key: str, its: dict[str, Any]) -> bytes:
        """As the bucket has it."""
        return self.cipher.seal(key, json.dumps(its))

    def opened(self, entry: KeyEntry, parse: Callable[[dict[str, Any]], T]) -> T | None:
        """What an entry says; None where it can't be read, which the log says once."""
        try:
            return parse(json.loads(self.cipher.open(entry.key, entry.value or b"")))
        except (NotOurs, *WRONG) as error:
            if not self._has_said:
                self._has_said = True
                log.error(  # noqa: TRY400 - the administrator needs the sentence
                    "%s: what another machine has written is left out (%s): see that `secret` under [cluster] and the "
                    "version are the same on each machine",
                    self.what,
                    error,
                )
            return None
