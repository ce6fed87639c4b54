"""What Asterisk has: its version, its modules, its codecs, the ways of the audio; each with what repairs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ari_app.asterisk.media_codecs import best_codecs
from ari_app.asterisk.resources import Asterisk
from ari_app.asterisk.rest import Rest
from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings, is_loopback
from ari_app.i18n import Message, message

OLDEST_VERSION = (16, 6)
WEBSOCKET_SINCE = {20: 16, 21: 11, 22: 6}
"""The first release of a series that can carry the audio over WebSocket; later series can, earlier ones can't."""

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
DIALPLAN_MODULES = ("pbx_config", "app_dial", "app_exec", "app_stack", "func_callerid", "func_logic", "func_strings")
"""What Astergram's own dialplan uses."""
BRIDGES = ("bridge_simple", "bridge_softmix")
RTP_MODULES = ("chan_rtp", "res_rtp_multicast", "res_rtp_asterisk")
WEBSOCKET_MODULES = ("chan_websocket", "res_websocket_client")
CODEC_NAMES = {"opus": "Opus", "g722": "G.722", "alaw": "A-law"}


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
        not_loaded(Topic.MODULES, name) for name in (*server.lacks(*ARI_MODULES), *server.lacks(*DIALPLAN_MODULES))
    ]
    if len(server.lacks(*BRIDGES)) == len(BRIDGES):
        found.append(not_loaded(Topic.MODULES, BRIDGES[0]))
    if server.lacks("func_global"):
        found.append(
            advice(
                Topic.MODULES,
                message(
                    "func_global is not loaded: after a Dial() to Telegram, a dialplan of your own has no"
                    " TELEGRAM_STATUS."
                ),
                _load("func_global"),
            )
        )
    return found or [ok(Topic.MODULES, message("The modules that ARI and the dialplan need are loaded."))]


def codecs(server: AriServer, surroundings: Surroundings) -> list[Finding]:
    """Whether Asterisk can translate between Telegram's audio and a phone's."""
    best = best_codecs(server.running, surroundings.transport)
    found = [not_loaded(Topic.CODECS, name) for name in server.lacks("codec_resample")]
    if best is None:
        found.append(
            problem(
                Topic.CODECS,
                message("Asterisk has no codec that Astergram could use: every call is refused."),
                _load("codec_g722"),
            )
        )
    elif best.from_asterisk != "opus":
        found.append(
            advice(
                Topic.CODECS,
                message(
                    "Asterisk has no Opus codec: calls have {codec} in its place, and a phone that speaks nothing but"
                    " Opus can't be connected.",
                    codec=CODEC_NAMES[best.from_asterisk],
                ),
                _opus(server),
            )
        )
    elif server.lacks("res_format_attr_opus"):
        found.append(
            advice(
                Topic.CODECS,
                message("res_format_attr_opus is not loaded: phones cannot negotiate Opus with all its settings."),
                _load("res_format_attr_opus"),
            )
        )
    if best is not None and best.to_asterisk == "alaw":
        found.append(
            advice(
                Topic.CODECS,
                message("Asterisk has no G.722 codec: it takes what people say as A-law, of a telephone's quality."),
                _load("codec_g722"),
            )
        )
    return found or [ok(Topic.CODECS, message("Asterisk can transcode all the codecs that a call needs."))]


def _opus(server: AriServer) -> Message:
    """What gives this Asterisk an Opus codec; Debian's versions say that they are."""
    if "dfsg" not in server.version_text:
        return message(
            "On MikoPBX switch Opus on among the codecs of General settings. Elsewhere on x86_64 (FreePBX, too) put"
            " codec_opus.so of Asterisk's makers, for this series of Asterisk, into its folder of modules; it is at"
            " downloads.digium.com/pub/telephony/codec_opus. Then: asterisk -rx 'module load codec_opus.so'. There is"
            " none for other processors, MikoPBX on ARM among them."
        )
    if server.version < (20, 0):
        return message(
            "Install it: apt install asterisk-opus. Then: asterisk -rx 'module load codec_opus_open_source.so'"
        )
    return _load("codec_opus_open_source")


def transport(server: AriServer, surroundings: Surroundings) -> list[Finding]:
    """Which ways of the audio this Asterisk has, and whether the configured one is among them."""
    configured = surroundings.transport
    rtp = not server.lacks(*RTP_MODULES)
    new_enough = _has_websocket(server)
    websocket = new_enough and not server.lacks(*WEBSOCKET_MODULES)
    found = []
    if configured == "rtp":
        found += [not_loaded(Topic.TRANSPORT, name) for name in server.lacks(*RTP_MODULES)]
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
                    "Asterisk {version} cannot carry the audio over WebSocket: 20.16, 21.11, 22.6 or later can.",
                    version=server.version_text,
                ),
                message('Set transport = "rtp" in [asterisk], or use a newer Asterisk.'),
            )
        )
    else:
        found += [not_loaded(Topic.TRANSPORT, name) for name in server.lacks(*WEBSOCKET_MODULES)]
    if rtp if configured == "rtp" else websocket:
        found.insert(
            0, ok(Topic.TRANSPORT, message("This Asterisk can carry the audio as configured: {way}.", way=configured))
        )
    return found


def _has_websocket(server: AriServer) -> bool:
    """By its module, which whoever packages it may have added, or by its version."""
    series, release = server.version
    first = WEBSOCKET_SINCE.get(series, 0 if series > max(WEBSOCKET_SINCE) else None)
    return not server.lacks("chan_websocket") or (first is not None and release >= first)


def not_loaded(topic: Topic, module: str) -> Finding:
    """A module that has to be there."""
    return problem(topic, message("Asterisk's module {module} is not loaded.", module=module), _load(module))


def _load(module: str) -> Message:
    return message(
        "Load {module}.so in modules.conf, and install it if it is missing. At once:"
        " asterisk -rx 'module load {module}.so'",
        module=module,
    )
