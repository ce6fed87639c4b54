"""The dialplan for an installation, made of the samples in dialplan/.

Each sample is valid as it is: what this installation has otherwise (contexts, line numbers, the application's name,
what phones dial) replaces what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from ari_app.doctor.surroundings import Surroundings

FROM_PHONES = "phones-to-telegram"
TO_TELEGRAM = "to-telegram"
OUTGOING = (TO_TELEGRAM, "telegram-dial")
"""The contexts that every kind of Asterisk needs for outgoing calls."""
PREFIX_EXAMPLE = "*9"
"""In the samples; MikoPBX, whose phones can't dial a plus, has it where nothing else is asked for."""
ONLY_DIGITS = "_XXXXXX."
"""Seven digits or more: no emergency number is as long, and hardly an internal one."""
RINGS_PHONE = re.compile(r"Dial\(PJSIP/101,60,t\)\n same => n,Hangup\([^\n]*\n")
_SECTION = re.compile(r"^\[([^\]]+)\]$", re.M)


class Flavour(StrEnum):
    """Which Asterisk it is."""

    VANILLA = "vanilla"
    FREEPBX = "freepbx"
    MIKOPBX = "mikopbx"


@dataclass(frozen=True)
class Wishes:
    """What an administrator may choose.

    ``prefix``: what phones dial before a phone number with its country code, such as ``*9``. ``only_digits``: whether
    seven digits or more, with nothing before them, are for Telegram. ``incoming``: what takes calls and call backs,
    such as ``101@phones``; empty for the samples' own. ``leave``: contexts of incoming calls that exist already.
    """

    prefix: str = ""
    only_digits: bool = False
    incoming: str = ""
    leave: frozenset[str] = frozenset()


NO_WISHES = Wishes()


def extensions(flavour: Flavour, here: Surroundings, wishes: Wishes = NO_WISHES) -> str:
    """The dialplan: a context for each line's calls, for call backs, and for calls to Telegram."""
    vanilla = sections(sample("extensions-astergram.conf"))
    own = vanilla if flavour is Flavour.VANILLA else sections(sample(f"extensions-{flavour}.conf"))
    callbacks = sections(sample("extensions-callback.conf"))["from-callback"]
    targets = dict.fromkeys(tuple(reversed(line.callback.split("@", 1))) for line in here.lines if line.callback)
    incoming = [(line.context, line.extension) for line in here.lines]
    parts = [
        _for_each_extension(own["from-telegram"], incoming, wishes),
        _for_each_extension(callbacks, targets, wishes),  # lines may share a target
        *(text for name, text in own.items() if name not in ("from-telegram", *OUTGOING)),
        *((vanilla | own)[name].replace("Stasis(telegram,", f"Stasis({here.app},") for name in OUTGOING),
    ]
    return _with_prefix("\n".join(_dialled(part, wishes) for part in parts if part), wishes.prefix)


def contexts(here: Surroundings) -> frozenset[str]:
    """The contexts of incoming calls and call backs that this installation's lines want."""
    targets = {line.callback.partition("@")[2] for line in here.lines if line.callback}
    return frozenset({line.context for line in here.lines} | targets)


def _for_each_extension(template: str, wanted: Iterable[tuple[str, ...]], wishes: Wishes) -> str:
    """Write a template's one context once for each context wanted, and its ``_X.`` for each extension."""
    comment, _, body = _split(template)
    if wishes.incoming:
        extension, _, context = wishes.incoming.partition("@")
        body = RINGS_PHONE.sub(f"Goto({context},{extension},1)\n", body)
    found: dict[str, list[str]] = {}
    for context, extension in wanted:
        if context not in wishes.leave:
            found.setdefault(context, []).append(body.replace("_X.", extension, 1))
    text = "\n".join(f"[{context}]\n{''.join(bodies)}" for context, bodies in found.items())
    return comment + text if text else ""


def _dialled(section: str, wishes: Wishes) -> str:
    """A section of outgoing calls, where they are wanted with a body for digits alone, as for + and digits."""
    if not wishes.only_digits:
        return section
    return section + "".join(
        re.sub(r"^exten => [^,]+", f"exten => {ONLY_DIGITS}", body)
        for body in _bodies(section)
        if re.match(r"exten => _(\+|\[\+@\])\.,", body)
    )


def _bodies(section: str) -> Iterator[str]:
    """Each extension of a section, with its steps."""
    for body in re.split(r"(?m)^(?=exten => |;)", section):
        if body.startswith("exten => "):
            yield body


def _with_prefix(text: str, prefix: str) -> str:
    """Give phones a prefix of the administrator's; the samples have one as an example."""
    if not prefix:
        return text
    example = f"exten => _{PREFIX_EXAMPLE}XXXXXX."
    return (
        text.replace(f";{example}", example)
        .replace(example, f"exten => _{prefix}XXXXXX.")
        .replace(f"${{EXTEN:{len(PREFIX_EXAMPLE)}}}", f"${{EXTEN:{len(prefix)}}}")
    )


def sample(name: str) -> str:
    """A file of dialplan/."""
    return resources.files("dialplan").joinpath(name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """A file's sections by name, each with the comment above it, in their order."""
    found: dict[str, str] = {}
    for paragraph in re.split(r"\n{2,}", text):
        if header := _SECTION.search(paragraph):
            found[header[1]] = paragraph.strip("\n") + "\n"
    return found


def _split(section: str) -> tuple[str, str, str]:
    """A section's comment, name and body."""
    header = _SECTION.search(section)
    assert header, "each section has a header"
    return section[: header.start()], header[1], section[header.end() + 1 :]
