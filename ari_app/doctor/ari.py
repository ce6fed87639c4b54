"""What can be seen over ARI: access, rights, the application, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from http import HTTPStatus

import aiohttp
from pydantic import SecretStr

from ari_app.asterisk.ari import ari_base
from ari_app.asterisk.errors import AriError, AriNotFound, AriRefused
from ari_app.asterisk.resources import Applications
from ari_app.asterisk.rest import Rest
from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message

REQUEST_TIMEOUT_S = 5.0
CLOCK_ADVICE_S = 2.0
NO_SUCH_CHANNEL = "astergram-doctor"


def requests_to(surroundings: Surroundings) -> AbstractAsyncContextManager[Rest]:
    """Make requests to this machine's ARI."""
    return requests_at(surroundings.ari_url, surroundings.ari_user, surroundings.ari_password)


@asynccontextmanager
async def requests_at(url: str, user: str, password: SecretStr) -> AsyncIterator[Rest]:
    """Make requests without connecting as an application, which would push out the one that is."""
    async with aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth(user, password.get_secret_value())},
        connector=aiohttp.TCPConnector(force_close=True),
    ) as session:
        yield Rest(session, ari_base(url), user, REQUEST_TIMEOUT_S)


async def access(rest: Rest, surroundings: Surroundings) -> Finding:
    """Whether Asterisk answers, and lets the user in."""
    url, user = surroundings.ari_url, surroundings.ari_user
    try:
        await rest.call("GET /asterisk/ping")
    except AriRefused:
        return problem(
            Topic.ARI,
            message("Asterisk refuses the ARI user {user}: the name or the password is wrong.", user=user),
            message(
                "Make the password of [{user}] in ari.conf and the one in [asterisk] the same, and see that it has"
                " type = user. Then: asterisk -rx 'module reload res_ari.so'",
                user=user,
            ),
        )
    except AriNotFound:
        return problem(
            Topic.ARI,
            message("Asterisk answers at {url}, but its ARI has no /asterisk resource.", url=url),
            message("Load res_ari_asterisk.so in modules.conf."),
        )
    except AriError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return problem(
                Topic.ARI,
                message("An HTTP server answers at {url}, but it has no ARI.", url=url),
                message(
                    "In ari.conf set enabled = yes, and load res_ari.so. If http.conf has a prefix, put it behind the"
                    " port in [asterisk] url."
                ),
            )
        return problem(
            Topic.ARI,
            message("Asterisk's ARI at {url} does not answer: {detail}", url=url, detail=str(error)),
            message(
                "Start Asterisk. In http.conf set enabled = yes, and bindaddr and bindport as in [asterisk] url; in"
                " ari.conf set enabled = yes."
            ),
        )
    return ok(Topic.ARI, message("Asterisk answers at {url} and accepts the user {user}.", url=url, user=user))


async def may_write(rest: Rest) -> bool:
    """Whether the user may change things: hangs up a channel that does not exist. Raises AriError."""
    try:
        await rest.call("DELETE /channels/{channelId}", channelId=NO_SUCH_CHANNEL)
    except AriNotFound:
        pass
    except AriRefused:
        return False
    return True


async def rights(rest: Rest, surroundings: Surroundings) -> list[Finding]:
    """Whether the user may change things."""
    if not await may_write(rest):
        return [
            problem(
                Topic.ARI,
                message("The ARI user {user} may only read.", user=surroundings.ari_user),
                message(
                    "Set read_only = no for [{user}] in ari.conf. Then: asterisk -rx 'module reload res_ari.so'",
                    user=surroundings.ari_user,
                ),
            )
        ]
    return [ok(Topic.ARI, message("The ARI user {user} may read and write.", user=surroundings.ari_user))]


async def application(rest: Rest, surroundings: Surroundings) -> list[Finding]:
    """Whether the Stasis application is this program's."""
    app = surroundings.app
    names = {found["name"] for found in await Applications(rest).list()}
    if surroundings.holds_app:
        return [ok(Topic.ARI, message("Astergram is connected as the Stasis application {app}.", app=app))]
    if app in names:
        return [
            problem(
                Topic.ARI,
                message("Another program is connected to Asterisk as the Stasis application {app}.", app=app),
                message(
                    "Stop it (a second Astergram?), or give Astergram another name in [asterisk] app, and the same"
                    " name in the dialplan's Stasis(...)."
                ),
            )
        ]
    return [ok(Topic.ARI, message("No other program uses the Stasis application {app}.", app=app))]


async def clock(rest: Rest, now: Callable[[], float]) -> list[Finding]:
    """How far Asterisk's clock and this machine's are apart."""
    sent = now()
    text = (await rest.call("GET /asterisk/ping"))["timestamp"]
    apart = abs(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() - (sent + now()) / 2)
    if apart > CLOCK_ADVICE_S:
        return [
            advice(
                Topic.TIME,
                message("Asterisk's clock and this machine's are {seconds} s apart.", seconds=round(apart)),
                message("Have both set by NTP, or their logs and call records will not agree."),
            )
        ]
    return [ok(Topic.TIME, message("Asterisk's clock and this machine's agree."))]
