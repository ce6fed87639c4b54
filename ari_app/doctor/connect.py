"""The configuration that connects an Asterisk with this installation, to copy: vanilla, FreePBX and MikoPBX.

The texts come from the files in dialplan/, with this installation's addresses and user names. Nothing secret is in
them.

Where each distribution wants its lines: https://sangomakb.atlassian.net/wiki/spaces/PG (FreePBX) and
https://docs.mikopbx.com/mikopbx/english/manual/system/custom-files (MikoPBX).
"""

from __future__ import annotations

from dataclasses import dataclass

from yarl import URL

from ari_app.asterisk.ami import READ_CLASSES, WRITE_CLASSES
from ari_app.doctor.agi import agi_host
from ari_app.doctor.dialplan import Flavour, extensions, sample, sections
from ari_app.doctor.surroundings import Surroundings, is_loopback
from ari_app.i18n import Message, message

ANY_HOST = "0.0.0.0"  # noqa: S104 - for an Asterisk on another machine; the sentence beside it tells of the firewall
AMI_PORT = 5038


@dataclass(frozen=True)
class Snippet:
    """Lines for one file, and what to do with them; ``text`` is empty where there is only something to click."""

    file: str
    todo: Message
    text: str = ""


def snippets(flavour: Flavour, surroundings: Surroundings) -> list[Snippet]:
    """Everything to copy for this kind of Asterisk, in the order in which to do it."""
    of_flavour = {Flavour.VANILLA: _vanilla, Flavour.FREEPBX: _freepbx, Flavour.MIKOPBX: _mikopbx}[flavour]
    return [*of_flavour(surroundings), *_for_programs(flavour, surroundings), *_for_lookups(flavour, surroundings)]


def _for_programs(flavour: Flavour, here: Surroundings) -> list[Snippet]:
    """For whoever reads AMI's events."""
    if here.ami is None or not here.ami.events:
        return []
    if flavour is Flavour.MIKOPBX:
        todo = message(
            "For a CRM that is told of calls (docs/events.md), add a user of its own: read user, write user."
        )
        return [Snippet("System → AMI Access", todo)]
    file = "manager_custom.conf" if flavour is Flavour.FREEPBX else "manager.conf"
    return [
        Snippet(
            file,
            message(
                "Add this for a CRM that is told of calls (docs/events.md), with a secret of its own and the address"
                " from which it comes. Then: asterisk -rx 'manager reload'"
            ),
            sample("manager-program.conf"),
        )
    ]


def _for_lookups(flavour: Flavour, here: Surroundings) -> list[Snippet]:
    """For a dialplan of the administrator's own that asks who is on Telegram."""
    if here.agi is None or flavour is not Flavour.VANILLA:
        return []
    return [
        Snippet(
            "extensions.conf",
            message(
                "To call by Telegram who is there, and everybody else by a trunk, put this behind it, write your trunk,"
                " and `include => telegram-if-there` into the context of your phones. Then: asterisk -rx 'dialplan"
                " reload'"
            ),
            sample("example-lookup.conf").replace("127.0.0.1:4573", f"{agi_host(here)}:{here.agi.port}"),
        )
    ]


def _vanilla(here: Surroundings) -> list[Snippet]:
    return [
        Snippet("http.conf", _http_todo(here), http_conf(here)),
        Snippet(
            "ari.conf",
            message(
                "Put this into ari.conf. The password is the one of [asterisk] in astergram.toml. Then:"
                " asterisk -rx 'module reload res_ari.so'"
            ),
            ari_conf(here),
        ),
        Snippet(
            "manager.conf",
            message(
                "Put this into manager.conf. The secret is the password of [ami] in astergram.toml. Then:"
                " asterisk -rx 'manager reload'"
            ),
            manager_conf(here),
        ),
        Snippet(
            "extensions.conf",
            message(
                "Put this at the end of extensions.conf, and `include => phones-to-telegram` into the context of your"
                " phones. PJSIP/101 is the phone that rings: write your own. Then: asterisk -rx 'dialplan reload'"
            ),
            extensions(Flavour.VANILLA, here),
        ),
    ]


def _freepbx(here: Surroundings) -> list[Snippet]:
    return [
        Snippet(
            "Settings → Advanced Settings",
            message(
                'Set "Enable the mini-HTTP Server" and "Enable the Asterisk REST Interface" to Yes, and the HTTP bind'
                " address and port as in [asterisk] url; its prefix, if there is one, follows the port there."
            ),
        ),
        Snippet(
            "Settings → Asterisk REST Interface Users",
            message(
                "Add the user {user} with the password of [asterisk] in astergram.toml, and Read Only: No.",
                user=here.ari_user,
            ),
        ),
        Snippet(
            "manager_custom.conf",
            message(
                "Put this into /etc/asterisk/manager_custom.conf, which FreePBX leaves alone. The secret is the"
                " password of [ami] in astergram.toml. Then: asterisk -rx 'manager reload'"
            ),
            _without_general(manager_conf(here)),
        ),
        Snippet(
            "extensions_custom.conf",
            message(
                "Put this into /etc/asterisk/extensions_custom.conf, which FreePBX leaves alone, or run"
                " `astergram dialplan install --pbx freepbx`. Then: fwconsole reload"
            ),
            extensions(Flavour.FREEPBX, here),
        ),
        Snippet(
            "Connectivity → Inbound Routes",
            message(
                "Add a route for each line: DID Number {numbers}, and the destination of its calls.",
                numbers=", ".join(line.extension for line in here.lines),
            ),
        ),
        Snippet(
            "Connectivity → Trunks",
            message(
                "Add a Custom Trunk with this Custom Dial String, and an outbound route that leads to it; its dial"
                " pattern prepends + to a number with its country code. What FreePBX can't reach by it, it tries by the"
                " route's next trunk."
            ),
            "Local/$OUTNUM$@to-telegram/n\n",
        ),
    ]


def _mikopbx(here: Surroundings) -> list[Snippet]:
    return [
        Snippet(
            "System → General settings",
            message(
                "On the tab AMI&ARI switch on AMI and ARI, or AJAM where there is no ARI yet; the HTTP port is ARI's,"
                " and /asterisk follows it in [asterisk] url, as in http://127.0.0.1:8088/asterisk. On the tab"
                " Audio/Video codecs switch on G.722 and, on x86_64, Opus."
            ),
        ),
        Snippet(
            "System → ARI Access",
            message(
                "Add the user {user} with the password of [asterisk] in astergram.toml. An older MikoPBX has no such"
                " page: put this into ari.conf instead, by System → System file customization.",
                user=here.ari_user,
            ),
            ari_conf(here),
        ),
        Snippet(
            "System → AMI Access",
            message(
                "Add the user {user} with the password of [ami] in astergram.toml: read {read}, write {write}.",
                user=here.ami.user if here.ami else "astergram",
                read=", ".join(READ_CLASSES),
                write=", ".join(WRITE_CLASSES),
            ),
        ),
        Snippet(
            "modules.conf",
            message(
                "System → System file customization → modules.conf, mode “Append to end of file”: MikoPBX loads only"
                " the modules that it names. Then restart it."
            ),
            sample("modules-mikopbx.conf") + ("load => chan_websocket.so\n" if here.transport == "websocket" else ""),
        ),
        Snippet(
            "Routing → Incoming routes",
            message(
                "Add a route without a provider for each line: the number {numbers}, and who takes its calls. MikoPBX"
                " takes such calls from any SIP phone that reaches it, too: have the firewall keep those out.",
                numbers=", ".join(line.extension for line in here.lines),
            ),
        ),
        Snippet(
            "extensions.conf",
            message(
                "System → System file customization → extensions.conf, mode “Append to end of file”. Phones call"
                " Telegram by *9 and the number, country code first."
            ),
            extensions(Flavour.MIKOPBX, here),
        ),
    ]


def http_conf(here: Surroundings) -> str:
    """http.conf for [asterisk] url."""
    url = URL(here.ari_url)
    address = "127.0.0.1" if here.asterisk_is_here else ANY_HOST
    text = sample("http.conf").replace("127.0.0.1", address)
    if url.scheme == "https":
        text += f"tlsenable = yes\ntlsbindaddr = {address}:{url.port}\ntlscertfile = /etc/asterisk/keys/asterisk.pem\n"
    else:
        text = text.replace("8088", str(url.port))
    prefix = url.path.strip("/").removesuffix("ari").strip("/")
    return f"{text}prefix = {prefix}\n" if prefix else text


def _http_todo(here: Surroundings) -> Message:
    if here.asterisk_is_here:
        return message("Put this into http.conf. Then: asterisk -rx 'module reload http'")
    return message(
        "Put this into http.conf, and let only this machine through the firewall to that port. Then:"
        " asterisk -rx 'module reload http'"
    )


def ari_conf(here: Surroundings) -> str:
    """ari.conf with the configured user, without the password."""
    return sample("ari.conf").replace("[astergram]", f"[{here.ari_user}]")


def manager_conf(here: Surroundings) -> str:
    """manager.conf with the configured user and the rights that Astergram needs, without the password."""
    text = sample("manager.conf")
    user, port, host = (here.ami.user, here.ami.port, here.ami.host) if here.ami else ("astergram", AMI_PORT, "")
    text = text.replace("[astergram]", f"[{user}]").replace(str(AMI_PORT), str(port))
    if is_loopback(host) or (not host and here.asterisk_is_here):
        return text
    return text.replace("bindaddr = 127.0.0.1", f"bindaddr = {ANY_HOST}").replace(
        "permit = 127.0.0.1/255.255.255.255", f"permit = {here.media_host}/255.255.255.255"
    )


def _without_general(text: str) -> str:
    """The file without its [general], which another file has."""
    return "\n".join(section for name, section in sections(text).items() if name != "general")
