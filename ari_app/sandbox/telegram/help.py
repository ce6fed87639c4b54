"""help.*: what a client asks before anything else. This server is the only data centre."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from telethon.tl import functions, types

from .phone import CallTimers
from .rpc import Client, handles
from .tl import now

DC_ID = 2
CONFIG_LIFETIME = timedelta(hours=1)
PACKET_TIMEOUT_MS = 10_000
# Numbers of the live service that no client of a voice call looks at.
LIMITS: dict[str, Any] = {
    "chat_size_max": 200,
    "megagroup_size_max": 200_000,
    "forwarded_count_max": 100,
    "online_update_period_ms": 210_000,
    "offline_blur_timeout_ms": 5_000,
    "offline_idle_timeout_ms": 30_000,
    "online_cloud_timeout_ms": 300_000,
    "notify_cloud_delay_ms": 30_000,
    "notify_default_delay_ms": 1_500,
    "push_chat_period_ms": 60_000,
    "push_chat_limit": 2,
    "edit_time_limit": 172_800,
    "revoke_time_limit": 2_147_483_647,
    "revoke_pm_time_limit": 2_147_483_647,
    "rating_e_decay": 2_419_200,
    "stickers_recent_limit": 200,
    "channels_read_media_period": 604_800,
    "caption_length_max": 1024,
    "message_length_max": 4096,
    "webfile_dc_id": DC_ID,
}


class Help:
    """Configuration for clients.

    Args:
        address: the host and port that clients connect to.
    """

    def __init__(self, address: Callable[[], tuple[str, int]], timers: CallTimers) -> None:
        self._address = address
        self._timers = timers

    @handles(functions.help.GetConfigRequest, anonymous=True)
    def get_config(self, client: Client, request: Any) -> Any:
        """help.getConfig."""
        host, port = self._address()
        return types.Config(
            date=now(),
            expires=now() + CONFIG_LIFETIME,
            test_mode=False,
            this_dc=DC_ID,
            dc_options=[types.DcOption(id=DC_ID, ip_address=host, port=port, this_port_only=True)],
            dc_txt_domain_name="",
            me_url_prefix="https://t.me/",
            call_receive_timeout_ms=int(self._timers.receive_s * 1000),
            call_ring_timeout_ms=int(self._timers.ring_s * 1000),
            call_connect_timeout_ms=int(self._timers.connect_s * 1000),
            call_packet_timeout_ms=PACKET_TIMEOUT_MS,
            **LIMITS,
        )

    @handles(functions.help.GetNearestDcRequest, anonymous=True)
    def get_nearest_dc(self, client: Client, request: Any) -> Any:
        """help.getNearestDc."""
        return types.NearestDc(country="RU", this_dc=DC_ID, nearest_dc=DC_ID)

    @handles(functions.langpack.GetLangPackRequest, functions.langpack.GetDifferenceRequest, anonymous=True)
    def get_lang_pack(self, client: Client, request: Any) -> Any:
        """langpack.getLangPack and langpack.getDifference: nothing is translated here."""
        return types.LangPackDifference(lang_code=request.lang_code, from_version=0, version=0, strings=[])
