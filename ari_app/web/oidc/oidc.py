"""The OpenID Connect provider of the page, and whom it lets in; where none is set, there is none."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.store.identities import IdentityRepository
from ari_app.web.access.access import Access
from ari_app.web.oidc.settings import OidcSettings
from ari_app.web.oidc.users import OidcUsers

if TYPE_CHECKING:
    from ari_app.web.oidc.provider import Provider

PLACE = "/login/oidc/callback"
"""On the page: where the provider sends browsers back to."""


@dataclass(frozen=True)
class Oidc:
    """``redirect_uri``: what the provider has to know of us."""

    settings: OidcSettings
    redirect_uri: str
    provider: Provider
    users: OidcUsers


async def open_oidc(
    settings: OidcSettings,
    url: str,
    access: Access,
    bus: EventBus,
    clock: Callable[[], float],
    steady: Callable[[], float],
) -> Oidc:
    """``url``: where the page is. Its libraries are loaded only now: most installations need none of them."""
    module = await asyncio.to_thread(importlib.import_module, "ari_app.web.oidc.provider")
    provider: Provider = module.Provider(settings, url + PLACE, clock, steady)
    return Oidc(
        settings,
        url + PLACE,
        provider,
        OidcUsers(settings, IdentityRepository(access.shared), access.users, bus, clock),
    )


OIDC = web.AppKey("oidc", Oidc)


def oidc_of(request: web.Request) -> Oidc | None:
    """That of the page; None where there is none."""
    return request.config_dict.get(OIDC)
