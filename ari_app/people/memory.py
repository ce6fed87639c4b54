"""Has the running parts forget a person: what is in memory would otherwise be used, or written again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ari_app.alerts.alerts import Alerts
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.languages import Languages
from ari_app.calls.registry import CallRegistry
from ari_app.pbx.ami import AmiReports
from ari_app.people.data_subject import DataSubject, Known, dialled
from ari_app.people.told import in_body
from ari_app.telegram.line import Line
from ari_app.webhooks.webhooks import Webhooks


@dataclass(frozen=True)
class Memory:
    """The parts that know people."""

    cards: KnownCards
    languages: Languages
    lines: Iterable[Line]
    registry: CallRegistry
    webhooks: Webhooks
    alerts: Alerts
    ami: AmiReports | None

    def forget(self, who: DataSubject) -> None:
        """At once."""
        if who.id is not None:
            self.cards.forget(who.id)
            self.languages.forget(who.id)
        destinations = who.phones | {f"@{name}" for name in who.usernames}
        for line in self.lines:
            line.forget(who.id, destinations)
        self.registry.forget(lambda call: who.is_of(Known(call.person.id) if call.person else dialled(call.peer)))
        self.alerts.forget(who.is_called)
        self.webhooks.forget(lambda delivery: in_body(who, delivery.body))
