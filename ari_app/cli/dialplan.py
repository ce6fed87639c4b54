"""`astergram dialplan print`, `install`, `check` and `remove`."""

import argparse
import asyncio

from ari_app.cli.installation import read_installation
from ari_app.cli.terminal import agree, console, show_json
from ari_app.config import Settings
from ari_app.doctor import Doctor, Grade, Topic, as_json, print_report
from ari_app.doctor.dialplan import FROM_PHONES, OUTGOING, Flavour, Wishes, contexts, extensions
from ari_app.doctor.dialplan_files import INCLUDED_BY, Change, FilesError, Folder, carry_out

RELOAD = {Flavour.VANILLA: "asterisk -rx 'dialplan reload'", Flavour.FREEPBX: "fwconsole reload"}
PROPOSED = "This is what would change"


async def dialplan(settings: Settings, options: argparse.Namespace) -> int | None:
    """Do what one of the actions says; `check` returns 1 unless all is there."""
    match options.action:
        case "print":
            print(extensions(Flavour(options.pbx), await read_installation(settings), _wishes(options)), end="")
        case "install":
            await _install(settings, options)
        case "remove":
            await _remove(options)
        case "check":
            return await _check(settings, options)
    return None


def _wishes(options: argparse.Namespace, leave: frozenset[str] = frozenset()) -> Wishes:
    return Wishes(options.prefix or "", options.only_digits, options.incoming or "", leave)


async def _install(settings: Settings, options: argparse.Namespace) -> None:
    flavour = Flavour(options.pbx)
    if flavour not in INCLUDED_BY:
        raise FilesError(
            "MikoPBX writes its files anew at each start: put what `astergram dialplan print --pbx mikopbx` shows into"
            " extensions.conf by System → System file customization, to the end of the file"
        )
    here = await read_installation(settings)
    folder = Folder(options.to, flavour)
    there = folder.elsewhere({*contexts(here), *OUTGOING, FROM_PHONES})
    if twice := {name: file for name, file in there.items() if name in (*OUTGOING, FROM_PHONES)}:
        first, file = next(iter(twice.items()))
        raise FilesError(f"{folder.path / file} has [{first}] already: take that out first, or Asterisk would mix both")
    text = extensions(flavour, here, _wishes(options, frozenset(there)))
    changes = folder.installing(text, replace=options.replace)
    for name, file in there.items():
        print(f"[{name}] of {file} takes incoming calls, as it does now")
    if not here.lines:
        print("there are no lines yet, and so nothing for incoming calls: run this again after `astergram line add`")
    if not changes:
        print(f"{folder.own} is there as it should be; nothing was changed")
        return
    await _agreed(changes, yes=options.yes)
    print(f"written: {', '.join(str(change.path) for change in changes)}. Then: {RELOAD[flavour]}")
    if flavour is Flavour.VANILLA:
        print(f"Your phones call Telegram once their context has `include => {FROM_PHONES}`")
        if "PJSIP/101" in text:
            print("PJSIP/101 takes the calls of the lines: for another one add --incoming EXTENSION@CONTEXT")


async def _remove(options: argparse.Namespace) -> None:
    folder = Folder(options.to, Flavour.VANILLA)
    changes = folder.removing()
    stays = folder.own.exists() and not any(change.path == folder.own for change in changes)
    if changes:
        await _agreed(changes, yes=options.yes)
        print(f"changed: {', '.join(str(change.path) for change in changes)}. Then reload the dialplan")
    else:
        print(f"nothing in {folder.path} includes {folder.own.name}; nothing was changed")
    if stays:
        print(f"{folder.own} was not written by Astergram, or was changed by hand since: it stays")


async def _agreed(changes: list[Change], *, yes: bool) -> None:
    """Show what is to change, have it confirmed, and do it."""
    for change in changes:
        print(change.difference(), end="")
    await agree(PROPOSED, yes=yes)
    await asyncio.to_thread(carry_out, changes)


async def _check(settings: Settings, options: argparse.Namespace) -> int:
    here = await read_installation(settings)
    findings = await Doctor(lambda: here).examine_dialplan()
    if options.json:
        problems = sum(each.grade is Grade.PROBLEM for each in findings)
        show_json({"problems": problems, "findings": [as_json(each) for each in findings]})
    else:
        with console() as where:
            print_report(findings, where)
    seen = any(each.topic is Topic.DIALPLAN for each in findings)
    return int(not seen or any(each.grade is not Grade.OK for each in findings))
