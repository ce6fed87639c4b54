"""A whole life of an installation at log level DEBUG: none of its secrets comes out anywhere."""

import asyncio
import base64
import html
import json
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from pyotp import TOTP
from yarl import URL

from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BOT, LINE, Stage
from ari_app.web.access.secrets import digest
from ari_app.web.areas import OPERATIONS, ROLES
from tests.e2e.whole_program import WholeProgram, whole_program
from tests.integration.command import ENV
from tests.integration.web_helpers import Answer, Browser
from tests.oidc_provider import ACCESS_TOKEN, CLIENT, OidcProvider, oidc_provider
from tests.oidc_provider import SECRET as CLIENT_SECRET

NO_CLUSTER = "/api/cluster"  # there is one machine
VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Acme\nEND:VCARD\n"
COMMAND_S = 60.0
LINK_LINE = re.compile(r"^To set the admin page's password, .*$", re.MULTILINE)
PLACES = re.compile(r'(?:href|hx-get|src|action)="(/[^"]*)"')
CHANGES_ONLY = re.compile(r"^/(logout|choices)\b")  # the crawler asks for no forms' addresses that take no GET
KINDS = (  # of files that may hold secrets
    re.compile(r"astergram\.db(-wal|-shm)?"),
    re.compile(r"lines/\d+\.session(-journal)?"),
)
RECOVERY_CODE = re.compile(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b")
NAME = "<script>alert(1)</script>"


@dataclass
class Secrets:
    """What must not come out, by what it is."""

    api_hash: str = "0123456789abcdef0123456789abcdef"
    line_api_hash: str = "fedcba9876543210fedcba9876543210"
    bot_token: str = ""
    later_bot_token: str = ""
    wrong_bot_token: str = "5999999999:AAwrongwrongwrongwrongwrongwrongwro"
    page_password: str = "correct <horse> & bättery"
    later_page_password: str = "another <horse> & bättery"
    wrong_page_password: str = "a guess at the page"
    two_step_password: str = "stable <two> & stäple"
    wrong_two_step_password: str = "a guess at two steps"
    login_code: str = ""
    link: str = ""
    api_token: str = ""
    page_api_token: str = ""
    wrong_api_token: str = "astergram_a-guess-at-the-token"
    session_cookie: str = ""
    asterisk_password: str = ""
    totp_key: str = ""
    recovery_code: str = ""
    webhook_secret: str = ""
    turn_password: str = "relay <pass> & wörd"
    turn_secret: str = "shared with coturn <only>"
    proxy_password: str = "a-way-out-of-here"
    passphrase: str = "backup <pass> & wörd phrase"
    mail_password: str = "mail <pass> & wörd"
    oidc_client_secret: str = CLIENT_SECRET
    oidc_access_token: str = ACCESS_TOKEN
    oidc_code: str = ""
    oidc_cookie: str = ""
    session_key: bytes = field(default=b"", repr=False)

    def spellings(self) -> Iterator[tuple[str, str]]:
        """Every secret with its name, in every way in which it may be written."""
        for name, secret in vars(self).items():
            assert secret, f"{name} was never learnt"
            if isinstance(secret, bytes):
                yield from ((name, each) for each in (secret.hex(), secret.hex(" "), repr(secret)[2:-1]))
                for encoded in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
                    yield name, encoded.decode().rstrip("=")
                continue
            for each in {secret, html.escape(secret), quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}:
                yield name, each
            yield name, base64.b64encode(secret.encode()).decode().rstrip("=")
            if len(secret) > len("00000"):
                yield f"digest of {name}", digest(secret)


@dataclass
class Watched(Browser):
    """A browser that keeps every answer: what was asked for, and all of it but the cookies."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, method: str, path: Any, **options: Any) -> Answer:
        answer = await super().ask(method, path, **options)
        headers = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "set-cookie"]
        self.seen.append((f"{method} {path}", "\n".join([*headers, answer.text])))
        return answer


@dataclass
class Life:
    """One installation, its administrator, and what came out of it."""

    sandbox: Stage
    program: WholeProgram
    secrets: Secrets
    webhook: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def run(self, *arguments: str) -> None:
        """A command on the server."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ari_app.cli", *arguments, "--config", str(self.program.config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=ENV,
        )
        async with asyncio.timeout(COMMAND_S):
            printed, _ = await process.communicate()
        self.seen.append((f"astergram {' '.join(arguments)}", printed.decode()))

    @asynccontextmanager
    async def browser(self, bearer: str = "", address: str = "127.0.0.1") -> AsyncIterator[Watched]:
        """Somebody at a loopback address, with an API token or without one."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        connector = TCPConnector(local_addr=(address, 0))
        async with ClientSession(connector=connector, cookie_jar=CookieJar(unsafe=True), headers=headers) as http:
            yield Watched(self.program.url, http, seen=self.seen)

    async def line_is(self, state: str) -> None:
        await self.program.until(rf"line \{LINE}: {state}")


@pytest.mark.timeout(300)
async def test_no_secret_comes_out(sandbox: Stage) -> None:
    secrets = Secrets()
    sandbox.telegram.add_user(LINE, "Astergram", password=secrets.two_step_password, password_hint="a horse")
    secrets.bot_token = sandbox.bot()["token"]
    secrets.asterisk_password = sandbox.asterisk.ari_password
    async with oidc_provider(time.time) as provider:
        await a_life(sandbox, secrets, provider)


async def a_life(sandbox: Stage, secrets: Secrets, provider: OidcProvider) -> None:
    oidc = {"issuer": provider.url, "client_id": CLIENT, "client_secret": CLIENT_SECRET, "users": "create"}
    config = await sandbox.configuration(
        lines=(),
        bot={"api_url": sandbox.telegram.bot_api_url},
        log_level="DEBUG",
        web={"port": 0},
        oidc=oidc | {"default_role": "viewer"},
    )
    async with whole_program(config) as program:
        life = Life(sandbox, program, secrets)
        async with life.browser() as admin:
            await the_page_is_opened(life, admin)
            async with life.browser(secrets.api_token) as its:
                await a_line_is_added(life, admin, its)
                await the_bot_is_changed(life, its)
                await the_line_is_called(life)
                await guesses_are_made(life, admin)
                await somebody_comes_by_the_provider(life)
                await life.run("backup", str(sandbox.folder / "backup.tar.gz"))
                for command in (("doctor",), ("line", "list"), ("line", "show", LINE), ("line", "setup", LINE)):
                    await life.run(*command)
                await programs_are_told(life, its)
                await people_are_told(life, its)
                await everything_is_read(life, its)
                await the_network_is_set(life, its)
            await every_page_is_opened(life, admin)
            await the_password_is_changed(life, admin)
            secrets.session_key = session_key(program.settings.session(LINE))
        await program.stop()
    life.seen.append(("what the program printed", LINK_LINE.sub("", program.printed)))
    assert "DEBUG" in program.printed
    found = [*leaks(secrets, life.seen), *leaks_in_files(secrets, program.settings.state_dir)]
    assert not found, "\n".join(found)


async def the_page_is_opened(life: Life, admin: Watched) -> None:
    """The one-time link, the password, and API tokens; what is shown once isn't kept."""
    secrets = life.secrets
    link = (await life.program.until(r"open this link \(once\): (\S+)"))[1]
    secrets.link = parse_qs(urlsplit(link).query)["link"][0]
    alone = Browser(admin.url, admin.http)
    assert (await alone.set_password(link, secrets.page_password)).path == "/"
    assert (await alone.get(link)).status >= 400  # the page of a link may name it
    port = urlsplit(life.program.url).port
    (secrets.session_cookie,) = [each.value for each in admin.http.cookie_jar if each.key == f"astergram-{port}"]
    await alone.get("/settings")
    shown = await alone.post("/settings/tokens", {"name": NAME, "scope": "admin"})
    found = re.search(r"astergram_[\w-]+", shown.text)
    assert found
    secrets.page_api_token = found[0]
    made = await alone.ask(
        "POST", "/api/access/tokens", json={"name": NAME, "scope": "admin"}, headers={"X-CSRF-Token": alone.csrf}
    )
    secrets.api_token = (await made.json())["token"]
    offered = re.search(r"\b[A-Z2-7]{32}\b", (await alone.get("/account/two-factor")).text)
    assert offered
    secrets.totp_key = offered[0]
    shown = await alone.post("/account/two-factor", {"code": TOTP(secrets.totp_key).now()})
    found = re.search(RECOVERY_CODE, shown.text)
    assert found
    secrets.recovery_code = found[0]
    await admin.get("/settings")


async def a_line_is_added(life: Life, admin: Watched, its: Watched) -> None:
    secrets, telegram = life.secrets, life.sandbox.telegram
    await admin.post("/settings/installation", {"api_id": "1", "api_hash": secrets.api_hash})
    line = f"/api/lines/{LINE}"
    added = {"number": LINE, "name": NAME, "max_calls": 2, "api_id": 1, "api_hash": secrets.line_api_hash}
    assert (await its.ask("POST", "/api/lines", json=added)).status == 201
    assert (await its.ask("POST", "/api/lines", json=added)).status == 409
    assert (await its.ask("PATCH", f"{line}/settings", json={"api_hash": [secrets.line_api_hash]})).status == 422
    await life.line_is("signed out")
    await its.ask("POST", f"{line}/sign-in", json={"way": "code"})
    await its.ask("POST", f"{line}/sign-in/code", json={"code": "00000"})
    secrets.login_code = telegram.login_code(LINE)
    await its.ask("POST", f"{line}/sign-in/code", json={"code": secrets.login_code})
    await its.ask("POST", f"{line}/sign-in/password", json={"password": secrets.wrong_two_step_password})
    await its.ask("POST", f"{line}/sign-in/password", json={"password": [secrets.two_step_password]})
    answer = await its.ask("POST", f"{line}/sign-in/password", json={"password": secrets.two_step_password})
    assert (await answer.json())["state"] == "signed in"
    await life.line_is("ready")


async def the_bot_is_changed(life: Life, its: Watched) -> None:
    """A token that works, the Bot API out of reach, a token that is revoked, a wrong one, and the next one."""
    secrets, telegram, program = life.secrets, life.sandbox.telegram, life.program
    await enter_token(its, secrets.bot_token)
    connected = await program.until(f"bot: @{BOT} is connected")
    async with telegram.bot_api_down():
        away = await program.until("bot: Waiting for Telegram's Bot API", connected.end())
    connected = await program.until(f"bot: @{BOT} is connected", away.end())
    secrets.later_bot_token = telegram.revoke_bot_token(BOT)
    refused = await program.until("bot: Telegram does not accept", connected.end())
    answer = await its.ask("PATCH", "/api/installation", json={"bot_token": secrets.wrong_bot_token})
    assert answer.status == 422
    await enter_token(its, secrets.wrong_bot_token, untried=True)
    refused = await program.until("bot: Telegram does not accept", refused.end())
    await enter_token(its, secrets.later_bot_token)
    await program.until(f"bot: @{BOT} is connected", refused.end())


async def enter_token(its: Watched, token: str, *, untried: bool = False) -> None:
    answer = await its.ask("PATCH", "/api/installation", json={"bot_token": token, "untried": untried})
    assert (await answer.json())["bot_token"] == "set"


async def the_line_is_called(life: Life) -> None:
    async with SipPhone(life.sandbox.asterisk, "101", auto_answer=True) as phone, life.sandbox.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await phone.established()
        await anna.keypad(LINE)
        await call.hang_up()
        await phone.closed()


async def guesses_are_made(life: Life, admin: Watched) -> None:
    """By somebody elsewhere, who is slowed down, and by slips of the administrator's."""
    secrets = life.secrets
    async with life.browser(address="127.0.0.2") as stranger:
        for _ in range(6):
            await stranger.log_in(secrets.wrong_page_password)
        await stranger.get("/password?link=a-guess-at-the-link")
        await stranger.ask("POST", "/api/lines", data=secrets.api_hash)
    async with life.browser(secrets.wrong_api_token) as stranger:
        assert (await stranger.get("/api/lines")).status == 401
    async with life.browser(secrets.api_token) as its:
        asked = {"old": secrets.page_password, "new": "short"}
        assert (await its.ask("POST", "/api/access/password", json=asked)).status == 422
        wrong = f'{{"old": "{secrets.page_password}", "new": '
        broken = await its.ask(
            "POST", "/api/access/password", data=wrong.encode(), headers={"Content-Type": "application/json"}
        )
        assert broken.status == 400
    await malformed(
        life, f"GET /api/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secrets.api_token}\0\r\n\r\n"
    )
    await malformed(life, f"GET /password?link={secrets.link}\0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await admin.post("/settings/installation", {"api_id": "none", "api_hash": secrets.api_hash})


async def somebody_comes_by_the_provider(life: Life) -> None:
    """Signs in, and then tries the same answer of the provider's again."""
    secrets = life.secrets
    async with life.browser() as anna:
        answer = await anna.get("/login/oidc", allow_redirects=False)
        (secrets.oidc_cookie,) = [each.value.partition(".")[0] for each in anna.http.cookie_jar if "oidc" in each.key]
        alone = Browser(anna.url, anna.http)
        answer = await alone.get(URL(answer.headers["Location"], encoded=True), allow_redirects=False)
        back = URL(answer.headers["Location"], encoded=True)
        secrets.oidc_code = back.query["code"]
        assert (await anna.get(back)).status == 200
        assert (await anna.get("/account")).status == 200
        assert (await anna.get(back)).status == 403


async def malformed(life: Life, request: str) -> None:
    """What is no HTTP, from a program with a fault: aiohttp answers with what is wrong in it, and it may be logged."""
    parts = urlsplit(life.program.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request.encode())
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    assert b" 400 " in answer.partition(b"\r\n")[0]


async def programs_are_told(life: Life, its: Watched) -> None:
    """A webhook whose receiver is not there."""
    alone = Browser(its.url, its.http)  # its secret is shown once
    made = await alone.ask("POST", "/api/webhooks", json={"url": "http://127.0.0.1:1/astergram"})
    hook = await made.json()
    life.secrets.webhook_secret = hook["secret"].removeprefix("whsec_")
    life.webhook = hook["id"]
    assert (await its.ask("POST", f"/api/webhooks/{life.webhook}/test")).status < 300


async def people_are_told(life: Life, its: Watched) -> None:
    """By a mail server that is not there."""
    mail = {"mail_to": ["anna@example.com"], "mail_from": "pbx@example.com", "mail_host": "127.0.0.1", "mail_port": 1}
    login = {"mail_user": "us", "mail_password": life.secrets.mail_password}
    changed = await its.ask("PATCH", "/api/alerts/settings", json=mail | login)
    assert (await changed.json())["mail_password"] == "set"
    refused = await its.ask("PATCH", "/api/alerts/settings", json=login | {"mail_security": "none"})
    assert refused.status == 422
    assert (await its.ask("POST", "/api/alerts/test")).status == 202
    await life.run("alerts", "settings")
    assert (await its.ask("PATCH", "/api/backups/settings", json={"passphrase": life.secrets.passphrase})).status == 200
    made = await (await its.ask("POST", "/api/backups")).json()
    assert (await its.get(f"/api/backups/files/{made['name']}")).status == 403, "it would outlive the token"
    await life.run("backups", "settings")


async def the_network_is_set(life: Life, its: Watched) -> None:
    """A TURN server with a secret and a proxy with a login, neither of which is there."""
    secrets = life.secrets
    for turn in ({"turn_user": "us", "turn_password": secrets.turn_password}, {"turn_secret": secrets.turn_secret}):
        changed = await its.ask("PATCH", "/api/installation", json={"turn_server": "127.0.0.1:1", **turn})
        assert changed.status == 200, changed.text
    gone = {"proxy": f"socks5://us:{secrets.proxy_password}@127.0.0.1:1", "untried": True}
    assert (await its.ask("PATCH", "/api/installation", json=gone)).status == 200
    await life.line_is("(?!ready)")
    await life.run("doctor")


async def everything_is_read(life: Life, its: Watched) -> None:
    """All that the API tells."""
    (call,) = (await (await its.get("/api/calls")).json())["calls"]
    sent = await its.ask("PUT", f"/api/lines/{LINE}/card/contact_vcard", data=VCARD.encode())
    assert sent.status == 200, sent.text
    values = {"{number}": LINE, "{id}": call["id"], "{flavour}": "vanilla", "{kind}": "contact_vcard"}
    values["{person}"] = str(call["person_id"])
    for operation in OPERATIONS:
        of_a_token = (operation.method, operation.path) not in ROLES.people_only
        if operation.method == "GET" and operation.media_type != "text/event-stream" and of_a_token:
            path = operation.path.replace("/webhooks/{id}", f"/webhooks/{life.webhook}")
            path = re.sub(r"{\w+}", lambda found: values[found[0]], path)
            answer = await its.get(path)
            assert answer.status == (404 if path.startswith(NO_CLUSTER) else 200), (path, answer.text)
    await its.get("/api/openapi.json")


async def every_page_is_opened(life: Life, admin: Watched) -> None:
    """Every page and part of a page that another one leads to."""
    left, known = ["/", "/nothing-here"], {"/", "/nothing-here"}
    while left:
        answer = await admin.get(left.pop())
        assert answer.status < 500, (answer.path, answer.text)
        for place in map(html.unescape, PLACES.findall(answer.text)):
            place = place.partition("#")[0]
            if place not in known and not CHANGES_ONLY.match(place):
                known.add(place)
                left.append(place)
    for page in (
        "/",
        "/lines",
        f"/lines/{LINE}",
        "/calls",
        "/charts",
        "/connect",
        "/settings",
        "/users",
        "/audit",
        "/settings/alerts",
        "/alerts",
        "/settings/backups",
        "/account",
    ):
        assert page in known, sorted(known)


async def the_password_is_changed(life: Life, admin: Watched) -> None:
    secrets = life.secrets
    later = secrets.later_page_password
    fields = {
        "old_password": secrets.wrong_page_password,
        "new_password": later,
        "password_again": later,
        "tokens": "keep",
    }
    await admin.post("/account/password", fields)
    answer = await admin.post("/account/password", fields | {"old_password": secrets.page_password})
    assert (answer.status, answer.path) == (200, "/account")


def session_key(session: Path) -> bytes:
    """The authorization key that Telegram knows a line by."""
    with closing(sqlite3.connect(session)) as db:
        (key,) = db.execute("SELECT auth_key FROM sessions").fetchone()
    assert 250 < len(key) <= 256  # Telethon keeps it without zeros at its beginning
    return bytes(key)


def leaks(secrets: Secrets, seen: list[tuple[str, str]]) -> list[str]:
    """What has come out where, never the secret itself."""
    spellings = [(name, secret) for name, secret in secrets.spellings() if secret != secrets.login_code]
    found = {f"{name} in {where}" for where, text in seen for name, secret in spellings if secret in text}
    # Five digits are also a part of many a number.
    alone = re.compile(rf"(?<![\d.]){secrets.login_code}(?![\d.])")
    return sorted(found | {f"login_code in {where}" for where, text in seen if alone.search(text)})


def leaks_in_files(secrets: Secrets, folder: Path) -> list[str]:
    """Secrets in files that are not for them, and files with secrets that others may read."""
    found = []
    sessions = {"session_key"}
    store = {
        *("api_hash", "line_api_hash", "bot_token", "later_bot_token", "wrong_bot_token", "totp_key"),
        *("webhook_secret", "turn_password", "turn_secret", "proxy_password", "mail_password", "passphrase"),
    }
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name, data = str(path.relative_to(folder)), path.read_bytes()
        is_store, is_session = (kind.fullmatch(name) for kind in KINDS)
        allowed = store if is_store else sessions if is_session else set()
        inside = {
            secret for secret, spelling in secrets.spellings() if spelling.encode() in data and "digest" not in secret
        }
        if secrets.session_key in data:
            inside.add("session_key")
        found += [f"{secret} in {name}" for secret in sorted(inside - allowed)]
        if data and path.stat().st_mode & 0o077:
            found.append(f"{name} may be read by others")
    return found
