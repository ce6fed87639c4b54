"""What the doctor has to know of this installation, by its settings."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import SecretStr

from ari_app.app.other_asterisks import OfferedAsterisk
from ari_app.calls.moving import application
from ari_app.config import Settings
from ari_app.doctor import AmiLogin, LineNeeds, Surroundings
from ari_app.doctor.surroundings import BOT_API, TELEGRAM_SERVERS, AgiAddress, MachineAsterisk, NatsServers
from ari_app.lines.settings import LineSettings
from ari_app.telegram.proxy import Proxy
from ari_app.telegram.turn_server import TurnServer


def surroundings(
    settings: Settings,
    lines: Iterable[LineSettings],
    *,
    has_bot: bool,
    proxy: Proxy | None,
    turn: TurnServer | None,
    holds_app: bool,
    telegram_offset_s: float | None = None,
    other_asterisks: Mapping[str, OfferedAsterisk] = MappingProxyType({}),
) -> Surroundings:
    """What the doctor has to know; ``holds_app``: whether this installation is connected to Asterisk now.

    ``telegram_offset_s``: what its lines know of Telegram's clock. ``other_asterisks``: of a cluster's other machines,
    by their names.
    """
    asterisk, telegram, ami, agi = settings.asterisk, settings.telegram, settings.ami, settings.agi
    cluster = settings.cluster
    return Surroundings(
        ari_url=asterisk.url,
        ari_user=asterisk.user,
        ari_password=asterisk.password,
        state_dir=settings.state_dir,
        app=asterisk.app,
        transport=asterisk.transport,
        media_host=asterisk.media_host,
        ami=AmiLogin(ami.host, ami.port, ami.user, ami.password, ami.events) if ami else None,
        agi=AgiAddress(agi.host, agi.port, agi.allow) if agi else None,
        nats=NatsServers(tuple(cluster.servers), cluster.user, cluster.password) if cluster else None,
        other_asterisks=_others(other_asterisks, cluster.machine) if cluster else (),
        media_host_elsewhere=cluster.media_host if cluster else "",
        lines=tuple(LineNeeds(each.number, each.context, each.max_calls, each.card.callback) for each in lines),
        telegram_servers=((telegram.host, telegram.port),) if telegram.host else TELEGRAM_SERVERS,
        bot_api_url=(settings.bot.api_url or BOT_API) if has_bot else "",
        proxy=proxy,
        turn=turn,
        holds_app=holds_app,
        telegram_offset_s=telegram_offset_s,
        update_source=settings.updates.source,
        update_index=settings.updates.index,
    )


def _others(offers: Mapping[str, OfferedAsterisk], own: str) -> tuple[MachineAsterisk, ...]:
    return tuple(
        MachineAsterisk(
            name, its.url, its.user, SecretStr(its.password), application(its.app, own), transport=its.transport
        )
        for name, its in offers.items()
    )
