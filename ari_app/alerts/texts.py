"""What people are told of alerts, as the text of a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ari_app.alerts.book import Alert
from ari_app.i18n import Message, message

MOST_TOLD = 20
"""Alerts of each kind in one message: a message of Telegram's has 4096 characters."""
LONGEST_SENTENCE, LONGEST_SUBJECT = 160, 120
MINUTE_S, HOUR_S = 60.0, 3600.0
CUT = "…"

Translate = Callable[[object], str]
"""Puts a message into a language."""


@dataclass(frozen=True)
class AlertText:
    """Of a mail; Telegram gets both, one below the other."""

    subject: str
    text: str


@dataclass(frozen=True)
class AlertWords:
    """Puts alerts into words. ``name``: the installation's; ``link``: where alerts are shown, empty for nowhere."""

    translate: Translate
    zone: tzinfo
    name: str
    link: str = ""

    def of(self, opened: Sequence[Alert], closed: Sequence[Alert]) -> AlertText:
        """What has opened and what is over, in one message."""
        found = [self._begun(each) for each in opened[:MOST_TOLD]] + self._more(opened)
        over = [self._over(each) for each in closed[:MOST_TOLD]] + self._more(closed)
        parts = ["\n".join(found)] if found else []
        parts += ["\n".join([self.translate(message("Over:")), *over])] if over else []
        return AlertText(self._subject(opened, closed), "\n\n".join([*parts, *([self.link] if self.link else [])]))

    def of_test(self) -> AlertText:
        """What the button sends."""
        said = message("This is a test: alerts of {name} get here.", name=self.name)
        return AlertText(self._cut(message("{name}: test of alerts", name=self.name)), self.translate(said))

    def _subject(self, opened: Sequence[Alert], closed: Sequence[Alert]) -> str:
        if opened and closed:
            said = message(
                "{name}: alerts: {opened}, over: {closed}", name=self.name, opened=len(opened), closed=len(closed)
            )
        elif len(opened) + len(closed) == 1:
            sentence = (opened or closed)[0].condition.sentence
            said = message("{name}: {sentence}", name=self.name, sentence=sentence)
            if closed:
                said = message("{name}: over: {sentence}", name=self.name, sentence=sentence)
        elif opened:
            said = message("{name}: alerts: {n}", name=self.name, n=len(opened))
        else:
            said = message("{name}: alerts that are over: {n}", name=self.name, n=len(closed))
        return self._cut(said)

    def _begun(self, alert: Alert) -> str:
        at = datetime.fromtimestamp(alert.since, self.zone)
        sentence = self._sentence(alert)
        since = at.strftime("%Y-%m-%d %H:%M")
        return f"• {sentence} " + self.translate(message("(since {time})", time=since))

    def _over(self, alert: Alert) -> str:
        lasted = self.translate(lasting((alert.closed_at or alert.since) - alert.since))
        return f"• {self._sentence(alert)} " + self.translate(message("(it lasted {time})", time=lasted))

    def _more(self, alerts: Sequence[Alert]) -> list[str]:
        more = len(alerts) - MOST_TOLD
        return [self.translate(message("… and {n} more", n=more))] if more > 0 else []

    def _sentence(self, alert: Alert) -> str:
        text = self.translate(alert.condition.sentence)
        return text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - 1]}{CUT}"

    def _cut(self, said: Message) -> str:
        text = " ".join(self.translate(said).split())
        return text if len(text) <= LONGEST_SUBJECT else f"{text[: LONGEST_SUBJECT - 1]}{CUT}"


def lasting(seconds: float) -> Message:
    """How long something was so, in words."""
    if seconds < MINUTE_S:
        return message("{s} s", s=round(max(seconds, 0)))
    if seconds < HOUR_S:
        return message("{min} min", min=round(seconds / MINUTE_S))
    hours, rest = divmod(round(seconds / MINUTE_S), 60)
    return message("{h} h {min} min", h=hours, min=rest)
