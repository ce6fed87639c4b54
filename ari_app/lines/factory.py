"""Makes the parts of a line out of its settings and the installation's."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from ari_app.bus import ACCOUNT, EventBus
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.languages import Languages
from ari_app.cluster.shared_limits import SharedLimits
from ari_app.cluster.text_claims import TextClaims
from ari_app.lines.installation import Installation, InstallationSettings
from ari_app.lines.lines import Lines
from ari_app.lines.settings import LineSettings
from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import Store
from ari_app.telegram.account import Account, Server
from ari_app.telegram.bot import Bot
from ari_app.telegram.card_message import Contact
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line import Line, LineObserver
from ari_app.telegram.lists import Lists
from ari_app.telegram.peers import Directory
from ari_app.telegram.profile import Callers, CardReason, CardRules, Profile, Target
from ari_app.telegram.texts import MessageTemplates
from media.types import EngineProtocol


@dataclass(frozen=True)
class Accounts:
    """Where accounts live: which Telegram, the path of each number's session, and on which ``machine`` of a cluster."""

    server: Server
    session: Callable[[str], Path]
    machine: str = ""

    def of(self, line: LineSettings, installation: InstallationSettings) -> Account:
        """A line's account; its ``api_id`` is 0 where nobody has set one."""
        own = line.api_id is not None and line.api_hash is not None
        chosen = line if own else installation
        return Account(
            number=line.number,
            api_id=chosen.api_id or 0,
            api_hash=chosen.api_hash.get_secret_value() if chosen.api_hash else "",
            session=self.session(line.number),
            server=self.server,
            proxy=installation.way,
            machine=self.machine,
        )


class LineFactory:
    """Makes lines that are not yet at work; ``observer`` is told what happens on them."""

    def __init__(
        self,
        accounts: Accounts,
        installation: Installation,
        engine: EngineProtocol,
        observer: LineObserver,
        lines: Lines,
        bot: Bot,
        languages: Languages,
        store: Store,
        bus: EventBus,
        texts: TextClaims,
        shared_limits: SharedLimits,
        cards: KnownCards,
    ) -> None:
        self._accounts = accounts
        self._installation = installation
        self._engine = engine
        self._observer = observer
        self._lines = lines
        self._bot = bot
        self._languages = languages
        self._store = store
        self._bus = bus
        self._texts = texts
        self._shared_limits = shared_limits
        self._cards = cards

    def line(self, settings: LineSettings) -> Line:
        """A line with all that is kept of it."""
        number = settings.number
        on_change = partial(self._bus.publish, ACCOUNT, number)
        kept = self._shared_limits.store(number, LimitRepository(self._store, number))
        limits = Limits(number, LimitSettings(), kept, on_change=on_change)
        self._shared_limits.follow(number, limits)
        return Line(
            self.account(settings),
            self._engine,
            self._observer,
            profile=self.profile(settings),
            limits=limits,
            directory=Directory(PeerRepository(self._store, number)),
            on_change=on_change,
            bot_name=self._bot.usable_name,
            own=self._lines.include,
            is_ours=partial(self._texts.is_ours, number),
            was_dialled=partial(self._texts.was_dialled, number),
        )

    def forget(self, number: str) -> None:
        """A line is removed."""
        self._shared_limits.forget(number)
        self._cards.forget_line(number)

    def account(self, settings: LineSettings) -> Account:
        """Its account."""
        return self._accounts.of(settings, self._installation.settings)

    def profile(self, settings: LineSettings) -> Profile:
        """What of its settings may be changed while it works."""
        return profile(settings, self._installation.settings, self._languages.of)


def profile(line: LineSettings, installation: InstallationSettings, learnt: Callable[[int], str]) -> Profile:
    """What may be changed while the line works; ``learnt`` as `MessageTemplates` has it."""
    return Profile(
        name=line.name or line.number,
        context=line.context,
        templates=message_templates(line, installation, learnt),
        max_calls=line.max_calls,
        lists=Lists.of(line.allow, line.deny, line.only_contacts),
        callers=Callers(frozenset(line.callers), line.default),
        bare_number_prefix=line.bare_number_prefix,
        account_code=line.account_code,
        found_s=line.resolve_cache_s,
        not_found_s=line.not_found_cache_s,
        limits=LimitSettings(
            flood_margin_s=line.flood_margin_s,
            peer_flood_s=line.peer_flood_s,
            calls_per_minute=line.calls_per_minute,
            calls_per_day=line.calls_per_day,
            lookups_per_minute=line.lookups_per_minute,
        ),
        card=card_rules(line, installation),
    )


def company(line: LineSettings, installation: InstallationSettings) -> str:
    """Whose line it is."""
    return line.company or installation.company or line.name or line.number


def message_templates(
    line: LineSettings, installation: InstallationSettings, learnt: Callable[[int], str] = lambda _: ""
) -> MessageTemplates:
    """A line's texts."""
    return MessageTemplates(
        company=company(line, installation),
        line=line.name or line.number,
        number=line.number,
        texts=line.texts,
        language=line.language,
        learnt=learnt,
        clock=lambda: datetime.now(installation.zone),
    )


def card_rules(line: LineSettings, installation: InstallationSettings) -> CardRules:
    """A line's business card."""
    card = line.card
    first_name = card.contact_first_name or company(line, installation)
    return CardRules(
        reasons=frozenset(reason for reason in CardReason if getattr(card, reason.value, False)),
        cancelled_after_s=card.cancelled_after_s,
        every_s=card.card_every_s,
        callback=Target.parse(card.callback),
        contact=Contact(card.contact_phone, first_name, card.contact_last_name) if card.contact_phone else None,
    )
