"""The command line: what can be typed, with examples, and what was probably meant.

Nothing heavy is imported here: a shell that completes a word must not wait for Telethon.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ari_app import __version__
from ari_app.cli import complete as cli_complete
from ari_app.cluster import patterns
from ari_app.suggest import did_you_mean

MOST_CALLS = 100
LONGEST_DRAIN_S = 7 * 86400
SCOPES = ("read", "calls", "admin")
MOST_DAYS = 3650
MOST_MUTE_H = 24 * 365
MOST_ID = 2**31
ROLES = ("viewer", "operator", "administrator")
SHELLS = ("bash", "zsh", "fish")
PBX = ("vanilla", "freepbx", "mikopbx")
ASTERISK = Path("/etc/asterisk")
LINE = "+79990000001"
PERSON = "+79990000002"
URL = "https://crm.example.com/astergram"
ID = "0123456789ab"
BACKUP = "astergram-20261129T033000Z.tar.gz.age"
EXIT_STATUSES = """\
exit status:
  0 done
  1 not done, it says why; status: it does not run; doctor: there is a problem; dialplan check: something is missing
  2 not tried: the command or the configuration is wrong, or there is nobody to ask
  3 drain: calls are left at the limit, or somebody has cancelled it"""


class Parser(argparse.ArgumentParser):
    """Has examples, which are shown as they are written, and tells what was probably meant."""

    def __init__(self, *, examples: Iterable[str] = (), notes: str = "", **options: Any) -> None:
        lines = [f"  astergram {each}" for each in examples]
        epilog = "\n".join(["examples:", *lines, *(["", notes] if notes else [])])
        super().__init__(epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(each) for each in action.choices]
            meant = did_you_mean(str(value), known) or f"; it can be {', '.join(known)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}{meant}")

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and leave with status 2."""
        what, colon, words = message.partition("unrecognized arguments: ")
        if colon and not what:
            given = words.split()
            known = sorted(set(_options(self)))
            meant = next(filter(None, (did_you_mean(each.partition("=")[0], known) for each in given)), "")
            message = f"not understood: {words}{meant}"
        super().error(message)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _options(each)
        else:
            yield from action.option_strings


def parser() -> Parser:
    """The whole of it."""
    made = Parser(
        prog="astergram",
        description="Telegram voice calls for Asterisk",
        examples=("run", "line add +79990000001 name=Sales", "status", "doctor", "line --help"),
        notes=EXIT_STATUSES,
    )
    made.add_argument("--version", action="version", version=f"astergram {__version__}")
    _configured(made, cli_complete.DEFAULT_CONFIG)
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add = _Adder(commands)
    add("run", "take and place calls until stopped", "run", "run --config /etc/astergram/astergram.toml")
    add("status", "how the running program is, and each line", "status", "status --json", json=True)
    _lines(commands)
    _calls(commands)
    _webhooks(commands)
    call = add(
        "call",
        "ring somebody in the PBX, then call a person on Telegram",
        "call +79990000002 --from 101@phones",
        "call +79990000002 --from PJSIP/101",
        f"call @anna --from 101@phones --line {LINE}",
        json=True,
    )
    call.add_argument("to", metavar="TO", help="+79990000002, @name or tg# and a Telegram id")
    call.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="PHONE",
        help="who rings first: 101@phones, a phone's extension alone (101), or an endpoint such as PJSIP/101",
    )
    _completed(
        call.add_argument("--line", metavar="NUMBER", help="the line; without it, the one that fits best"),
        cli_complete.numbers,
    )
    call.add_argument("--key", metavar="KEY", help="the same key never places a second call, also after a restart")
    whole = add(
        "settings",
        "show or change company, timezone, api_id, api_hash, bot_token, proxy and turn_...",
        "settings",
        "settings company=Acme api_id=12345",
        "settings api_hash=- bot_token=-    # asks for them, or reads a line each from standard input",
        "settings proxy=-                   # asks for socks5://USER:PASSWORD@HOST:PORT or http://..., say",
        "settings turn_server=turn.example.com:3478 turn_user=tg turn_password=- turn_use=only",
        "settings bot_token=null            # goes back to the configuration file",
        json=True,
    )
    _settings(whole, cli_complete.installation_keys)
    drain = add(
        "drain",
        "take no new calls, and wait until those that there are have ended",
        "drain",
        "drain --limit 600",
        "drain --cancel",
        json=True,
    )
    way = drain.add_mutually_exclusive_group()
    way.add_argument("--limit", type=_up_to(LONGEST_DRAIN_S), metavar="SECONDS", help="wait no longer than that")
    way.add_argument("--cancel", action="store_true", help="take calls again")
    _cluster(add)
    _join(add)
    add("ready", "whether calls can be taken; exit status 1 where they can't", "ready", json=True)
    add("metrics", "print the figures for Prometheus", "metrics")
    add("doctor", "look for what keeps calls from working, and say what to do", "doctor", "doctor --json", json=True)
    _dialplan(commands)
    _users(commands)
    _tokens(commands)
    _audit(commands)
    _alerts(commands)
    _people(commands)
    happened = add("activity", "what has happened lately, the newest first", "activity --last 50", json=True)
    happened.add_argument(
        "--last", type=_up_to(MOST_CALLS), default=20, metavar="N", help=f"how many, 1 to {MOST_CALLS} (%(default)s)"
    )
    web = commands.add_parser("web", help="the admin page", examples=("web link", "web oidc"))
    pages = _Adder.of(web)
    oidc = pages("oidc", "sign-in by OpenID Connect: what is set", "web oidc", "web oidc --test", json=True)
    oidc.add_argument("--test", action="store_true", help="ask the provider whether it answers")
    link = pages("link", "print a link to set a (forgotten) password", "web link", "web link anna", json=True)
    user = link.add_argument("user", nargs="?", default="", metavar="USER", help="the first administrator, if left out")
    _completed(user, cli_complete.users)
    put = add(
        "backup",
        "copy database and sessions into one file",
        "backup astergram-backup.tar.gz",
        "backup --encrypt astergram-backup.tar.gz.age    # asks for a passphrase",
    )
    put.add_argument("--encrypt", action="store_true", help="with a passphrase, which is asked for; `age -d` opens it")
    get = add(
        "restore",
        "put a backup in place; stop the program first",
        "restore astergram-backup.tar.gz",
        "restore --replace astergram-backup.tar.gz",
    )
    for each in (put, get):
        each.add_argument("file", type=Path, metavar="FILE")
    get.add_argument(
        "--replace", action="store_true", help="also if there is an installation already; it is put aside, not deleted"
    )
    _backups(commands)
    shell = commands.add_parser(
        "completion",
        help="print what makes a shell complete these commands",
        examples=(
            "completion bash > /etc/bash_completion.d/astergram",
            "completion fish > ~/.config/fish/completions/astergram.fish",
        ),
    )
    shell.add_argument("shell", choices=SHELLS)
    return made


class _Adder:
    """Adds commands, or a command's actions; each with --config, and with --json where it shows something."""

    def __init__(self, to: Any) -> None:
        self._to = to

    @classmethod
    def of(cls, command: Parser) -> "_Adder":
        """For the actions of a command."""
        _configured(command, argparse.SUPPRESS)
        return cls(command.add_subparsers(dest="action", metavar="ACTION", required=True))

    def __call__(self, name: str, text: str, *examples: str, json: bool = False) -> Parser:
        made: Parser = self._to.add_parser(name, help=text, description=_sentence(text), examples=examples)
        _configured(made, argparse.SUPPRESS)  # it would undo what stands before the command
        if json:
            made.add_argument("--json", action="store_true", help="as JSON, for a program")
        return made


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _lines(commands: Any) -> None:
    line = commands.add_parser(
        "line",
        help="add, change, sign in and remove lines",
        examples=(f"line add {LINE} name=Sales", "line list", f"line set {LINE} card.callback=600@queues"),
    )
    add = _Adder.of(line)

    def action(name: str, text: str, *examples: str, json: bool = False) -> Parser:
        made = add(name, text, *(f"line {name} {LINE}{each}" for each in examples), json=json)
        number = made.add_argument("number", metavar="NUMBER", help=f"the line's number, such as {LINE}")
        if name != "add":
            _completed(number, cli_complete.numbers)
        return made

    add("list", "every line with its lights", "line list", "line list --json", json=True)
    action("show", "show what is set for a line, as TOML", "", " --json", json=True)
    new = action("add", "add a line, and sign it in", " name=Sales max_calls=4", " --qr", " --file line.toml")
    change = action(
        "set",
        "change a line's settings; it takes effect at once",
        " name=Sales card.missed=true",
        " 'deny=[\"@spammer\"]'",
        " api_hash=-    # asks for it, or reads it from standard input",
        " name=null     # the default again",
    )
    for made in (new, change):
        _settings(made, cli_complete.line_keys)
        made.add_argument(
            "--file", type=Path, metavar="FILE", help="a TOML file of settings, see docs/line.sample.toml"
        )
    new.add_argument("--no-signin", action="store_true", help="do not sign it in now")
    again = action("signin", "sign a line in, or in again, whatever state it is in", "", " --qr")
    for made in (new, again):
        ways = made.add_mutually_exclusive_group()
        ways.add_argument("--qr", action="store_true", help="with a QR code drawn here, not with a code sent to you")
        ways.add_argument(
            "--by-machine", action="store_true", help="by another machine of the cluster that has the line"
        )
        made.add_argument("--setup", action="store_true", help="then set the account up without asking")
    setup = action("setup", "show what a line's account needs, and do it", "", " --do", json=True)
    setup.add_argument("--do", action="store_true", help="do what is open")
    test = action("test", "ring the line's extension, then call somebody on Telegram", " +79990000002", json=True)
    test.add_argument("destination", metavar="DESTINATION", help="+79990000002, @name or a Telegram id")
    for name, text in (
        ("reset", "remove a line's session and caches; its settings stay"),
        ("logout", "log a line out of Telegram for good; its settings stay"),
        ("remove", "remove a line with all that it has"),
    ):
        made = action(name, text, "", " --yes")
        made.add_argument("--yes", action="store_true", help="do it without asking")


def _cluster(add: "_Adder") -> None:
    cluster = add(
        "cluster",
        "the machines with the same lines, and which lines each holds",
        "cluster",
        f"cluster move {LINE} pbx-2",
        "cluster calls",
        "cluster forget pbx-3",
        json=True,
    )
    actions = _Adder(cluster.add_subparsers(dest="action", metavar="ACTION"))
    calls = actions("calls", "the live calls of the other machines", "cluster calls")
    calls.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON, for a program")
    ending = actions("hangup", "end a call of another machine", "cluster hangup pbx-2 0f3a5c7e9b1d")
    ending.add_argument("machine", metavar="MACHINE", help="which has the call")
    ending.add_argument("id", metavar="CALL", help="as `astergram cluster calls` shows it")
    move = actions("move", "have another machine hold a line", f"cluster move {LINE} pbx-2")
    _completed(move.add_argument("number", metavar="NUMBER", help="the line's number"), cli_complete.numbers)
    move.add_argument("machine", metavar="MACHINE", help="the name of a machine that `astergram cluster` shows")
    forgetting = actions("forget", "have the others forget a machine that is gone for good", "cluster forget pbx-3")
    forgetting.add_argument("machine", metavar="MACHINE", help="one that `astergram cluster` shows as silent")


def _join(add: "_Adder") -> None:
    join = add(
        "join",
        "make this a machine of a cluster: its first one, or another one, which asks for the secret of the first",
        "join nats://10.0.0.1:4222",
        "join nats://10.0.0.1:4222 --user astergram --machine pbx-2    # asks for the password",
    )
    join.add_argument(
        "servers", nargs="+", type=_nats_server, metavar="SERVER", help="nats://HOST:PORT or tls://HOST:PORT"
    )
    join.add_argument(
        "--machine",
        type=_matching(patterns.MACHINE, "no name of letters, digits, - and _, 40 at most"),
        metavar="NAME",
        help="what to call this machine; without it, as the machine calls itself",
    )
    join.add_argument("--user", default="", metavar="NAME", help="of NATS, if it has users; the password is asked for")
    join.add_argument(
        "--asterisk-url",
        type=_asterisk_url,
        metavar="URL",
        help="this machine's Asterisk as the others reach it, if they are to place calls of its phones",
    )


def _calls(commands: Any) -> None:
    calls = commands.add_parser(
        "calls", help="the calls now, and the history", examples=("calls list", "calls export calls.csv")
    )
    add = _Adder.of(calls)
    found = add(
        "list",
        "the calls now, and the last ones",
        "calls list",
        "calls list --find Anna --last 100",
        "calls list --json",
        json=True,
    )
    found.add_argument(
        "--last", type=_up_to(MOST_CALLS), default=20, metavar="N", help=f"how many, 1 to {MOST_CALLS} (%(default)s)"
    )
    export = add(
        "export",
        "write the history as CSV, into a file that only you can read",
        "calls export calls.csv",
        "calls export - --find Anna    # to standard output",
    )
    export.add_argument("file", type=Path, metavar="FILE", help="- is standard output")
    for made in (found, export):
        made.add_argument("--find", default="", metavar="TEXT", help="a name, phone, username, id, or what was dialled")
    for name, text in (("show", "how a call went, step by step"), ("hangup", "end a live call")):
        made = add(name, text, f"calls {name} 0123456789ab", json=name == "show")
        _completed(
            made.add_argument("id", metavar="ID", help="as `astergram calls list` shows it"),
            cli_complete.call_ids if name == "show" else cli_complete.live_call_ids,
        )


def _webhooks(commands: Any) -> None:
    webhook = commands.add_parser(
        "webhook",
        help="send what happens to programs, by signed HTTP requests",
        examples=("webhook add https://crm.example.com/astergram", "webhook list"),
    )
    add = _Adder.of(webhook)
    add("list", "every webhook, and how it is", "webhook list", "webhook list --json", json=True)
    new = add(
        "add",
        "add a webhook, and print its secret, the only time",
        f"webhook add {URL}",
        f"webhook add {URL} --event call.ended --event message --message-text",
        json=True,
    )
    new.add_argument("url", metavar="URL", help="where a program takes POST requests")

    def action(name: str, text: str, *examples: str, json: bool = False) -> Parser:
        made = add(name, text, *(f"webhook {name} {ID}{each}" for each in examples), json=json)
        _completed(made.add_argument("id", metavar="ID", help="as `webhook list` shows it"), cli_complete.webhook_ids)
        return made

    change = action("set", "change a webhook; it takes effect at once", f" --url {URL}", " --off", " --all-events")
    change.add_argument("--url", metavar="URL", help="where it is sent to")
    switch = change.add_mutually_exclusive_group()
    switch.add_argument("--on", dest="enabled", action="store_true", default=None, help="send events to it")
    switch.add_argument("--off", dest="enabled", action="store_false", help="send no events to it")
    change.add_argument("--all-events", action="store_true", help="it gets every event")
    for made in (new, change):
        made.add_argument(
            "--event",
            dest="events",
            action="append",
            metavar="TYPE",
            help="such as call.ended; several times for several",
        )
        made.add_argument(
            "--message-text",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="whether texts of people are sent",
        )
    action("test", "send an event that tells of nothing", "", json=True)
    sent = action("deliveries", "what was sent, or waits", "", " --state failed", json=True)
    sent.add_argument("--state", choices=("waiting", "delivered", "failed", "lost"), help="only such ones")
    sent.add_argument(
        "--last", type=_up_to(MOST_CALLS), default=20, metavar="N", help=f"how many, 1 to {MOST_CALLS} (%(default)s)"
    )
    again = action("resend", "send an event again", " 1790000000123", json=True)
    again.add_argument("delivery", type=_up_to(2**63 - 1), metavar="DELIVERY", help="as `webhook deliveries` shows it")
    for name, text in (
        ("secret", "make another secret, and print it, the only time"),
        ("remove", "remove a webhook, with what waits for it"),
    ):
        made = action(name, text, "", " --yes", json=name == "secret")
        made.add_argument("--yes", action="store_true", help="do it without asking")


def _users(commands: Any) -> None:
    user = commands.add_parser(
        "user", help="who may use the admin page", examples=("user list", "user add anna --role operator")
    )
    add = _Adder.of(user)
    add("list", "every user with their role", "user list", "user list --json", json=True)
    new = add(
        "add",
        "add a user; the password is asked for",
        "user add anna --role operator",
        "user add anna --role viewer --link     # prints a link by which they set it",
        "user add anna --password -             # reads it from standard input",
        json=True,
    )
    role = add("role", "give a user another role", "user role anna administrator", json=True)
    password = add("password", "set a user's password, which is asked for", "user password anna")
    remove = add("remove", "remove a user; they are signed out", "user remove anna", "user remove anna --yes")
    lost = add(
        "two-factor-off",
        "turn two-factor authentication off, for a user who has lost their device",
        "user two-factor-off anna",
        "user two-factor-off anna --yes",
    )
    for made in (new, role, password, remove, lost):
        name = made.add_argument("name", metavar="USER", help="the user's name")
        if made is not new:
            _completed(name, cli_complete.users)
    role.add_argument("role", choices=ROLES)
    new.add_argument("--role", choices=ROLES, default=ROLES[0], help="what they may do (%(default)s)")
    new.add_argument("--link", action="store_true", help="print a link by which they set their password")
    for made in (new, password):
        made.add_argument(
            "--password", choices=("-",), metavar="-", help="read the password from standard input, one line"
        )
    for made in (remove, lost):
        made.add_argument("--yes", action="store_true", help="do it without asking")


def _tokens(commands: Any) -> None:
    token = commands.add_parser("token", help="API tokens", examples=("token list", "token add CRM --scope calls"))
    add = _Adder.of(token)
    add("list", "every API token, without its secret", "token list", "token list --json", json=True)
    new = add(
        "add",
        "make an API token, and print it: it can't be shown again",
        "token add CRM --scope calls --days 90",
        json=True,
    )
    new.add_argument("name", metavar="NAME", help="what it is for")
    new.add_argument("--scope", choices=SCOPES, default=SCOPES[0], help="what it may do (%(default)s)")
    new.add_argument("--days", type=_up_to(MOST_DAYS), metavar="N", help="after which it expires")
    revoke = add("revoke", "revoke an API token", "token revoke 3")
    revoke.add_argument("id", type=_up_to(MOST_ID), metavar="ID", help="as `astergram token list` shows it")


def _audit(commands: Any) -> None:
    audit = commands.add_parser("audit", help="who did what", examples=("audit list", "audit export audit.csv"))
    add = _Adder.of(audit)
    found = add("list", "the last entries of the audit log", "audit list --last 100", "audit list --json", json=True)
    found.add_argument(
        "--last", type=_up_to(MOST_CALLS), default=20, metavar="N", help=f"how many, 1 to {MOST_CALLS} (%(default)s)"
    )
    export = add(
        "export", "write it as CSV, into a file that only you can read", "audit export audit.csv", "audit export -"
    )
    export.add_argument("file", type=Path, metavar="FILE", help="- is standard output")
    for made in (found, export):
        made.add_argument("--find", default="", metavar="TEXT", help="a name, an address, a line, a user")


def _people(commands: Any) -> None:
    people = commands.add_parser(
        "people",
        help="find, export and erase what is kept of a person",
        examples=(f"people find {PERSON}", "people export 5000000002 anna.json", "people erase 5000000002"),
    )
    add = _Adder.of(people)
    add("kinds", "which personal data is kept, what for and for how long", "people kinds --json", json=True)
    found = add(
        "find",
        "people by a part of a name, or by a phone number, @username or Telegram id",
        "people find Anna",
        f"people find {PERSON} --json",
        json=True,
    )
    found.add_argument("text", metavar="TEXT", help=f"such as Anna, {PERSON}, @anna or 5000000002")
    show = add("show", "how much is kept of a person", "people show 5000000002", "people show @anna --json", json=True)
    export = add(
        "export",
        "write all that is kept of a person as JSON, into a file that only you can read",
        "people export 5000000002 anna.json",
        "people export 5000000002 -",
    )
    erase = add(
        "erase",
        "erase what is kept of a person, for good",
        "people erase 5000000002 --reference 'Request 17'",
        f"people erase {PERSON} --yes",
        json=True,
    )
    for made in (show, export, erase):
        made.add_argument("person", metavar="PERSON", help=f"a Telegram id, {PERSON} or @anna")
    export.add_argument("file", type=Path, metavar="FILE", help="- is standard output")
    erase.add_argument(
        "--reference", default="", metavar="TEXT", help="stands in the audit log in place of the person; no name"
    )
    erase.add_argument("--yes", action="store_true", help="do it without asking")


def _dialplan(commands: Any) -> None:
    command = commands.add_parser(
        "dialplan",
        help="print, install, check and remove the lines for Asterisk's dialplan",
        examples=("dialplan print", "dialplan install --incoming 101@phones", "dialplan check"),
    )
    add = _Adder.of(command)
    put = add("print", "print the lines for this installation", "dialplan print", "dialplan print --pbx mikopbx")
    install = add(
        "install",
        "write them into a file of Asterisk's, and one line that includes it; shows the difference, and asks first",
        "dialplan install",
        "dialplan install --incoming 101@phones --prefix '*9'",
        "dialplan install --pbx freepbx --yes",
    )
    add("check", "look into the running dialplan by AMI, and say what is missing", "dialplan check", json=True)
    remove = add("remove", "take away what install has written", "dialplan remove", "dialplan remove --yes")
    for made in (put, install):
        made.add_argument("--pbx", choices=PBX, default=PBX[0], help="what kind of Asterisk it is (%(default)s)")
        made.add_argument(
            "--incoming",
            type=_matching(r"[\w*#+.-]+@[\w.-]+", "no EXTENSION@CONTEXT, such as 101@phones"),
            metavar="EXTENSION@CONTEXT",
            help="what takes the calls of the lines, and call backs; vanilla only",
        )
        made.add_argument(
            "--prefix",
            type=_matching(r"[0-9*#]{1,6}", "no prefix: give one to six of 0-9, * and #"),
            metavar="DIGITS",
            help="what phones dial before a number with its country code, of seven digits or more; not for freepbx",
        )
        made.add_argument(
            "--bare-digits",
            dest="only_digits",
            action="store_true",
            help="seven digits or more, with nothing before them, are for Telegram; vanilla only",
        )
    for made in (install, remove):
        made.add_argument(
            "--to", type=Path, default=ASTERISK, metavar="DIR", help="Asterisk's configuration (%(default)s)"
        )
        made.add_argument("--yes", action="store_true", help="do it without asking")
    install.add_argument("--replace", action="store_true", help="also in place of a file that was changed by hand")


def _backups(commands: Any) -> None:
    backups = commands.add_parser(
        "backups",
        help="what the running program makes by itself, and puts in place at its next start",
        examples=("backups list", "backups settings schedule=daily", "backups make"),
    )
    add = _Adder.of(backups)
    add("list", "those that there are", "backups list", json=True)
    add("make", "make one now", "backups make", json=True)
    back = add("restore", "examine one, and put it in place at the next start", f"backups restore {BACKUP}")
    back.add_argument("--passphrase", action="store_true", help="ask for the one that it was encrypted with")
    add("cancel", "restore nothing at the next start", "backups cancel")
    gone = add("remove", "remove one for good", f"backups remove {BACKUP}")
    for made in (back, gone):
        name = made.add_argument("name", metavar="NAME", help="as `backups list` shows it")
        _completed(name, cli_complete.backup_names)
        made.add_argument("--yes", action="store_true", help="do it without asking")
    keys = add(
        "settings",
        "show or change when they are made, how many are kept, and the passphrase",
        "backups settings",
        "backups settings schedule=daily at=03:30 keep=14 passphrase=-    # asks for it",
        json=True,
    )
    _settings(keys, cli_complete.backup_keys)


def _alerts(commands: Any) -> None:
    alerts = commands.add_parser(
        "alerts",
        help="what needs somebody, and who is told",
        examples=("alerts list", "alerts settings", "alerts test"),
    )
    add = _Adder.of(alerts)
    add("list", "the alerts now, the last ones, and what is muted", "alerts list", "alerts list --json", json=True)
    mute = add("mute", "tell nobody for a time", "alerts mute --hours 2", f"alerts mute {ID} --hours 24")
    alert = mute.add_argument("id", nargs="?", metavar="ID", help="an open alert; without it, all of them")
    _completed(alert, cli_complete.alert_ids)
    mute.add_argument(
        "--hours", type=_up_to(MOST_MUTE_H), metavar="N", help="for how long; without it, until it is unmuted"
    )
    unmute = add("unmute", "tell again", f"alerts unmute {ID}")
    _completed(unmute.add_argument("id", metavar="ID", help="as `alerts list` shows it"), cli_complete.mute_ids)
    add("test", "send a test to everybody who is told", "alerts test", json=True)
    sent = add("deliveries", "what was sent to whom, or waits", "alerts deliveries", json=True)
    sent.add_argument(
        "--last", type=_up_to(MOST_CALLS), default=20, metavar="N", help=f"how many, 1 to {MOST_CALLS} (%(default)s)"
    )
    keys = add(
        "settings",
        "show or change who is told, and from when on",
        "alerts settings",
        "alerts settings 'telegram_to=[\"@anna\"]' red_minutes=5",
        "alerts settings mail_host=smtp.example.com mail_user=pbx mail_password=-    # asks for it",
        json=True,
    )
    _settings(keys, cli_complete.alert_keys)


def _settings(made: argparse.ArgumentParser, keys: Callable[..., Iterable[str]]) -> None:
    given = made.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="such as name=Sales; null is the default; of a secret, - asks for it",
    )
    _completed(given, keys)


def _configured(made: argparse.ArgumentParser, default: Any) -> None:
    known = cli_complete.DEFAULT_CONFIG
    made.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"the configuration ({known})")


def _completed(action: argparse.Action, completer: Callable[..., Iterable[str]]) -> None:
    action.completer = completer  # type: ignore[attr-defined]  # argcomplete's


def _matching(pattern: str, otherwise: str) -> Callable[[str], str]:
    def given(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is {otherwise}")
        return text

    return given


def _asterisk_url(text: str) -> str:
    try:
        url = urlsplit(text)
        has_host = bool((url.hostname or "").strip()) and url.port != 0  # which may raise, too
        is_one = url.scheme in ("http", "https") and has_host and "@" not in url.netloc
    except ValueError:
        is_one = False
    if not is_one:  # it may have a password in it, and is not repeated
        raise argparse.ArgumentTypeError("the Asterisk of this machine is http://HOST:PORT, without user and password")
    return text


def _nats_server(text: str) -> str:
    if not re.fullmatch(patterns.SERVER, text, re.ASCII):  # it may have a password in it, and is not repeated
        said = "a server is nats://HOST:PORT or tls://HOST:PORT; a user is named with --user, the password is asked for"
        raise argparse.ArgumentTypeError(said)
    return text


def _up_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number from 1 to {most}")
        return int(text)

    return number


def completion(shell: str) -> str:
    """What a shell has to read, so that it completes the commands."""
    from argcomplete.shell_integration import shellcode

    return shellcode(["astergram"], shell=shell)


def complete(made: argparse.ArgumentParser) -> None:
    """Answer a shell that completes a word, and end; raises nothing."""
    import argcomplete

    argcomplete.autocomplete(made, always_complete_options="long")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed; leaves with status 2 where it can't be understood."""
    made = parser()
    options, left = made.parse_known_args(arguments)
    if "settings" in options:  # argparse takes none of them behind an option
        options.settings += [word for word in left if not word.startswith("-")]
        left = [word for word in left if word.startswith("-")]
    if left:
        made.error(f"unrecognized arguments: {' '.join(left)}")
    if (options.command, getattr(options, "action", "")) == ("line", "set") and not (options.settings or options.file):
        made.error("nothing to set: KEY=VALUE, such as name=Sales, or --file FILE is needed")
    if options.command == "dialplan" and (wrong := _not_for(options)):
        made.error(wrong)
    return options


def _not_for(options: argparse.Namespace) -> str:
    """What was chosen for a kind of Asterisk that decides it itself; empty if there is nothing."""
    pbx = getattr(options, "pbx", PBX[0])
    if pbx == "freepbx" and options.prefix:
        return "--prefix is not for FreePBX: its outbound routes say what phones dial"
    if pbx != PBX[0] and options.only_digits:
        return "--bare-digits is for vanilla: on FreePBX and MikoPBX it would take the numbers of other routes"
    if pbx != PBX[0] and options.incoming:
        return "--incoming is for vanilla: on FreePBX and MikoPBX the incoming routes take the calls"
    return ""
