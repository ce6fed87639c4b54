"""What can be seen over ARI: access, rights, version, modules, codecs, the ways of the audio, the clock."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import aiohttp

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError, AriNotFound, AriRefused
from ari_app.asterisk.resources import Applications, Asterisk
from ari_app.asterisk.rest import Rest
from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings, is_loopback
from ari_app.i18n import message

REQUEST_TIMEOUT_S = 5.0
OLDEST_VERSION = (16, 6)
WEBSOCKET_VERSION = (22, 6)
CLOCK_ADVICE_S = 2.0
NO_SUCH_CHANNEL = "astergram-doctor"

ARI_MODULES = (
    "app_stasis",
    "res_stasis",
    "res_stasis_answer",
    "res_http_websocket",
    "res_ari",
    "res_ari_applications",
    "res_ari_asterisk",
    "res_ari_bridges",
    "res_ari_channels",
    "res_ari_events",
)
DIALPLAN_MODULES = ("pbx_config", "app_dial", "app_exec", "func_callerid", "func_logic")
"""What Astergram's own dialplan uses."""
BRIDGES = ("bridge_simple", "bridge_softmix")
RTP_MODULES = ("chan_rtp", "res_rtp_multicast", "res_rtp_asterisk")
WEBSOCKET_MODULES = ("chan_websocket", "res_websocket_client")
OPUS = ("codec_opus", "codec_opus_open_source")


@asynccontextmanager
async def requests_to(surroundings: Surroundings) -> AsyncIterator[Rest]:
    """Make requests to ARI without connecting as an application, which would push out the one that is."""
    user, password = surroundings.ari_user, surroundings.ari_password.get_secret_value()
    base = AriClient(surroundings.ari_url, user, password, surroundings.app).base
    async with aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth(user, password)},
        connector=aiohttp.TCPConnector(force_close=True),
    ) as session:
        yield Rest(session, base, user, REQUEST_TIMEOUT_S)


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


async def rights(rest: Rest, surroundings: Surroundings) -> list[Finding]:
    """Whether the user may change things: hangs up a channel that does not exist."""
    try:
        await rest.call("DELETE /channels/{channelId}", channelId=NO_SUCH_CHANNEL)
    except AriNotFound:
        pass
    except AriRefused:
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


@dataclass(frozen=True)
class AriServer:
    """What Asterisk tells of itself: its version's first two numbers and its text, and which modules run."""

    version: tuple[int, int]
    version_text: str
    running: frozenset[str]

    def lacks(self, *modules: str) -> tuple[str, ...]:
        """Those that do not run."""
        return tuple(module for module in modules if module not in self.running)


async def read_server(rest: Rest) -> AriServer:
    """Ask for version and modules."""
    asterisk = Asterisk(rest)
    text = str((await asterisk.getInfo()).get("system", {}).get("version", ""))
    found = re.search(r"(\d+)\.(\d+)", text)
    modules = await asterisk.listModules()
    return AriServer(
        (int(found[1]), int(found[2])) if found else (0, 0),
        text,
        frozenset(each["name"].removesuffix(".so") for each in modules if each["status"] == "Running"),
    )


def version(server: AriServer) -> list[Finding]:
    """Whether Asterisk is new enough."""
    if server.version == (0, 0):
        return [advice(Topic.ARI, message("Asterisk does not report its version: {said}", said=server.version_text))]
    if server.version < OLDEST_VERSION:
        return [
            problem(
                Topic.ARI,
                message("Asterisk {version} is too old: it has no external media.", version=server.version_text),
                message("Use Asterisk 16.6 or later; 22 is the best choice."),
            )
        ]
    return [ok(Topic.ARI, message("Asterisk is version {version}.", version=server.version_text))]


def modules(server: AriServer) -> list[Finding]:
    """Whether what ARI and the dialplan need is loaded."""
    found = [
        _not_loaded(Topic.MODULES, name) for name in (*server.lacks(*ARI_MODULES), *server.lacks(*DIALPLAN_MODULES))
    ]
    if len(server.lacks(*BRIDGES)) == len(BRIDGES):
        found.append(_not_loaded(Topic.MODULES, BRIDGES[0]))
    return found or [ok(Topic.MODULES, message("The modules that ARI and the dialplan need are loaded."))]


def codecs(server: AriServer, surroundings: Surroundings) -> list[Finding]:
    """Whether Asterisk can translate between Telegram's audio and a phone's."""
    found = []
    if len(server.lacks(*OPUS)) == len(OPUS):
        found.append(
            problem(
                Topic.CODECS,
                message("Asterisk cannot transcode Opus: a phone without Opus will have no audio."),
                message(
                    "Install and load codec_opus.so (from Asterisk's makers) or codec_opus_open_source.so (Debian's"
                    " asterisk-opus, or part of its asterisk)."
                ),
            )
        )
    needed = ("codec_resample", "codec_g722") if surroundings.transport == "rtp" else ("codec_resample",)
    found += [_not_loaded(Topic.CODECS, name) for name in server.lacks(*needed)]
    if server.lacks("res_format_attr_opus"):
        found.append(
            advice(
                Topic.CODECS,
                message("res_format_attr_opus is not loaded: phones cannot negotiate Opus with all its settings."),
                message("Load {module}.so in modules.conf.", module="res_format_attr_opus"),
            )
        )
    return found or [ok(Topic.CODECS, message("Asterisk can transcode all the codecs that a call needs."))]


def transport(server: AriServer, surroundings: Surroundings) -> list[Finding]:
    """Which ways of the audio this Asterisk has, and whether the configured one is among them."""
    configured = surroundings.transport
    rtp = not server.lacks(*RTP_MODULES)
    new_enough = server.version >= WEBSOCKET_VERSION
    websocket = new_enough and not server.lacks(*WEBSOCKET_MODULES)
    found = []
    if configured == "rtp":
        found += [_not_loaded(Topic.TRANSPORT, name) for name in server.lacks(*RTP_MODULES)]
        if not surroundings.asterisk_is_here and is_loopback(surroundings.media_host):
            found.append(
                problem(
                    Topic.TRANSPORT,
                    message(
                        "Asterisk is on another machine, and [asterisk] media_host is {host}: it would send the audio"
                        " to itself.",
                        host=surroundings.media_host,
                    ),
                    message("Set [asterisk] media_host to the address at which Asterisk reaches this machine."),
                )
            )
        if websocket:
            found.append(
                ok(
                    Topic.TRANSPORT,
                    message(
                        "It can also carry it over WebSocket: Opus both ways, through the HTTP port alone. That is"
                        ' transport = "websocket" in [asterisk].'
                    ),
                )
            )
    elif not new_enough:
        found.append(
            problem(
                Topic.TRANSPORT,
                message(
                    "Asterisk {version} cannot carry the audio over WebSocket: 22.6 or later can.",
                    version=server.version_text,
                ),
                message('Set transport = "rtp" in [asterisk], or use a newer Asterisk.'),
            )
        )
    else:
        found += [_not_loaded(Topic.TRANSPORT, name) for name in server.lacks(*WEBSOCKET_MODULES)]
    if rtp if configured == "rtp" else websocket:
        found.insert(
            0, ok(Topic.TRANSPORT, message("This Asterisk can carry the audio as configured: {way}.", way=configured))
        )
    return found


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


def _not_loaded(topic: Topic, module: str) -> Finding:
    return problem(
        topic,
        message("Asterisk's module {module} is not loaded.", module=module),
        message("Load {module}.so in modules.conf, and install it if it is missing.", module=module),
    )
