"""The texts to copy, and that an Asterisk can load them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from ari_app.doctor.connect import http_conf, manager_conf, snippets
from ari_app.doctor.dialplan import Flavour, Wishes, extensions
from ari_app.doctor.surroundings import AgiAddress, AmiLogin, LineNeeds, Surroundings

SECRETS = ("ari-secret", "ami-secret")
HERE = Surroundings(
    "http://127.0.0.1:8088",
    "astergram",
    SecretStr(SECRETS[0]),
    Path("/var/lib/astergram"),
    ami=AmiLogin("127.0.0.1", 5038, "astergram", SecretStr(SECRETS[1])),
    lines=(
        LineNeeds("+79990000001", callback="605@from-callback"),
        LineNeeds("+79990000002", callback="605@from-callback"),
        LineNeeds("+49301230000", context="from-berlin"),
    ),
)
THERE = Surroundings(
    "http://10.0.0.2:8089/asterisk/ari",
    "tg",
    SecretStr(SECRETS[0]),
    Path("/var/lib/astergram"),
    app="tg2",
    media_host="10.0.0.1",
    ami=AmiLogin("10.0.0.2", 5039, "manager-of-tg", SecretStr(SECRETS[1])),
)


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("surroundings", [HERE, THERE], ids=["here", "there"])
def test_no_secret_in_any_text(flavour: Flavour, surroundings: Surroundings) -> None:
    told = "".join(f"{snippet.file} {snippet.todo} {snippet.text}" for snippet in snippets(flavour, surroundings))
    assert told
    assert not any(secret in told for secret in SECRETS)


@pytest.mark.parametrize("flavour", Flavour)
def test_each_line_has_its_extension_in_its_context(flavour: Flavour) -> None:
    contexts = _contexts(extensions(flavour, HERE))
    assert re.findall(r"exten => (\w+),1,", contexts["from-telegram"]) == ["79990000001", "79990000002"]
    assert re.findall(r"exten => (\w+),1,", contexts["from-berlin"]) == ["49301230000"]
    assert re.findall(r"exten => (\w+),1,", contexts["from-callback"]) == ["605"]
    assert "Stasis(telegram,${FILTER(+@#_0-9A-Za-z,${EXTEN})},${TELEGRAM_OPTIONS})" in contexts["to-telegram"]


@pytest.mark.parametrize("flavour", Flavour)
def test_nothing_that_is_dialled_gets_into_an_applications_arguments_as_it_is(flavour: Flavour) -> None:
    dialled = {name: text for name, text in _contexts(extensions(flavour, HERE)).items() if "from-" not in name}
    for line in "\n".join(dialled.values()).splitlines():
        if "${EXTEN" in line and "NoOp(" not in line:
            assert re.search(r"\$\{FILTER\([^,]+,\$\{EXTEN(:\d)?\}\)\}", line), line


@pytest.mark.parametrize("flavour", Flavour)
def test_without_lines_only_outgoing_calls(flavour: Flavour) -> None:
    contexts = _contexts(extensions(flavour, THERE))
    assert "from-telegram" not in contexts
    assert "from-callback" not in contexts
    assert "Stasis(tg2,${FILTER(" in contexts["to-telegram"]


def test_a_prefix_of_the_administrators() -> None:
    for flavour, context, before in (
        (Flavour.VANILLA, "phones-to-telegram", r"^;exten => _\*9XXXXXX"),
        (Flavour.MIKOPBX, "all_peers-custom", r"^exten => _\*9XXXXXX"),
    ):
        assert re.search(before, _contexts(extensions(flavour, HERE))[context], re.MULTILINE)
        phones = _contexts(extensions(flavour, HERE, Wishes(prefix="#77")))[context]
        assert re.search(r"^exten => _#77XXXXXX\.,1,[^\n]*\+\$\{FILTER\(0-9,\$\{EXTEN:3\}\)\}", phones, re.MULTILINE)
        assert "*9" not in phones


def test_digits_alone_only_where_they_are_wanted() -> None:
    assert "_XXXXXX." not in extensions(Flavour.VANILLA, HERE).replace("_*9XXXXXX.", "")
    contexts = _contexts(extensions(Flavour.VANILLA, HERE, Wishes(only_digits=True)))
    for name, step in (("phones-to-telegram", "Dial("), ("to-telegram", "Stasis(")):
        _, _, body = contexts[name].partition("exten => _XXXXXX.,1,")
        assert step in body
        assert body.count("exten =>") == 0, "it is the last"


def test_incoming_calls_go_where_the_administrator_says() -> None:
    contexts = _contexts(extensions(Flavour.VANILLA, HERE, Wishes(incoming="101@phones")))
    for name in ("from-telegram", "from-berlin", "from-callback"):
        assert "Goto(phones,101,1)" in contexts[name]
        assert "Dial(PJSIP" not in contexts[name]
    leave = Wishes(leave=frozenset({"from-telegram"}))
    assert sorted(_contexts(extensions(Flavour.VANILLA, HERE, leave)).keys() & {"from-telegram", "from-berlin"}) == [
        "from-berlin"
    ]


@pytest.mark.parametrize("flavour", Flavour)
def test_a_program_at_ami_gets_a_user_of_its_own(flavour: Flavour) -> None:
    def files(here: Surroundings) -> list[str]:
        return [snippet.file for snippet in snippets(flavour, here)]

    file = {"vanilla": "manager.conf", "freepbx": "manager_custom.conf", "mikopbx": "System → AMI Access"}[flavour]
    assert HERE.ami
    assert files(HERE).count(file) == 2
    assert files(replace(HERE, ami=replace(HERE.ami, events=False))).count(file) == 1
    assert files(replace(HERE, ami=None)).count(file) == 1


def test_a_lookup_is_where_asterisk_reaches_it() -> None:
    for here, address in ((HERE, "agi://127.0.0.1:4574/"), (THERE, "agi://10.0.0.1:4574/")):
        assert not any("AGI(" in snippet.text for snippet in snippets(Flavour.VANILLA, here))
        lookup = snippets(Flavour.VANILLA, replace(here, agi=AgiAddress(port=4574)))[-1]
        assert f"AGI({address}lookup," in lookup.text


def test_addresses_of_this_machine() -> None:
    assert http_conf(HERE) == "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = 8088\n"
    assert "permit = 127.0.0.1/255.255.255.255" in manager_conf(HERE)


def test_addresses_of_another_machine() -> None:
    http, manager = http_conf(THERE), manager_conf(THERE)
    assert "bindport = 8089\n" in http
    assert "prefix = asterisk\n" in http
    assert "127.0.0.1" not in http + manager
    assert "permit = 10.0.0.1/255.255.255.255" in manager
    assert "[manager-of-tg]" in manager
    assert "port = 5039" in manager


def test_https() -> None:
    text = http_conf(Surroundings("https://10.0.0.2:8090", "tg", SecretStr("x"), Path("/x")))
    assert "tlsbindaddr = 0.0.0.0:8090\n" in text


def _contexts(text: str) -> dict[str, str]:
    parts = re.split(r"^\[(.+)\]$", text, flags=re.M)
    names = parts[1::2]
    assert len(names) == len(set(names)), "each context once"
    return dict(zip(names, parts[2::2], strict=True))
