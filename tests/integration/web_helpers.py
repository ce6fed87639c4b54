"""The admin page, served for a test, and browsers that use it."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientResponse, ClientSession, CookieJar, TCPConnector, UnixConnector
from pydantic import SecretStr
from yarl import URL

from ari_app.alerts.opening import open_alerts
from ari_app.asterisk.errors import AriUnreachable
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.backups.backups import Backups
from ari_app.backups.settings import BackupSettings
from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.doctor import Doctor
from ari_app.doctor.surroundings import Surroundings
from ari_app.lines.card_files import CardFiles
from ari_app.lines.health import StatusMonitor
from ari_app.lines.installation import Installation, InstallationSettings
from ari_app.lines.lines import Lines
from ari_app.lines.manager import LineManager
from ari_app.lines.part_settings import PartSettings
from ari_app.pbx.activity import RecentActivity
from ari_app.people.parts import people
from ari_app.reports.audit import AuditLog
from ari_app.reports.history import History
from ari_app.reports.metrics import Metrics, Sources
from ari_app.reports.whole_calls import WholeCalls
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.updates import UpdateNotice
from ari_app.web.http.listening import listening
from ari_app.web.http.services import Services
from ari_app.web.http.settings import WebSettings
from ari_app.web.http.sse import HEARTBEAT_S
from ari_app.web.oidc.settings import OidcSettings
from ari_app.web.server import Served, serving
from ari_app.web.ui.translator import translator
from ari_app.webhooks.webhooks import open_webhooks

NOBODY = "http://127.0.0.1:1"
SCHEMATHESIS_S = 110.0
PASSWORD = "correct horse battery"
CSRF_FIELD = re.compile(r'name="csrf" value="(\w+)"')


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Site:
    """A served page. ``clock`` is its Unix time, ``steady`` the clock of its delays."""

    folder: Path
    served: Served
    services: Services
    clock: Clock
    steady: Clock

    @property
    def url(self) -> str:
        return self.served.url

    @property
    def socket(self) -> Path:
        return self.folder / "astergram.sock"

    @property
    def database(self) -> Path:
        return self.folder / "astergram.db"


@asynccontextmanager
async def site(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    clock: Clock | None = None,
    oidc: Mapping[str, Any] | None = None,
    **services: Any,
) -> AsyncIterator[Site]:
    """Serve the page; parts of `Services` by name. Those that aren't named are real, with no lines and no calls.

    ``oidc``: what [oidc] has.
    """
    clock, steady = clock or Clock(1_800_000_000.0), Clock(1000.0)
    async with (
        open_store(folder / "astergram.db") as store,
        guarded_tasks() as tasks,
        open_webhooks(store) as webhooks,
    ):
        installation = Installation(store, InstallationSettings())
        await installation.load()
        bus = services.get("bus") or EventBus()
        registry = services.get("registry") or CallRegistry(bus)
        lines = Lines()
        away: Any = SimpleNamespace(state=ConnectionState.WAITING, last_error=AriUnreachable(NOBODY), base=NOBODY)
        nothing: Any = None  # what nobody asks where no line is
        parts: dict[str, Any] = {
            "store": store,
            "bus": bus,
            "registry": registry,
            "installation": installation,
            "lines": LineManager(store, lines, nothing, nothing, registry, bus, tasks, nothing),
            "statuses": StatusMonitor(lines, away, Bot(), bus, registry.drain),
            "account_setup": nothing,
            "dispatcher": nothing,
            "placer": nothing,
            "card_files": CardFiles(store),
            "history": History(store, clock=clock),
            "webhooks": webhooks,
            "audit": AuditLog(store, clock=clock, on_change=lambda: bus.publish("audit")),
            "doctor": Doctor(lambda: nowhere(folder), clock),
        }
        backups = PartSettings(store, "backups", BackupSettings())
        parts["backups"] = Backups(
            backups,
            folder,
            folder / "backups",
            parts["audit"],
            zone=lambda: installation.settings.zone,
            clock=clock,
            on_change=lambda: bus.publish("backups"),
        )
        parts |= services
        if "alerts" not in parts:
            parts["alerts"] = await open_alerts(
                store,
                folder,
                lines,
                parts["statuses"],
                Bot(),
                installation,
                webhooks.put,
                translator,
                link="",
                clock=clock,
                on_change=lambda: bus.publish("alerts"),
            )
        if "people" not in parts:
            memory = SimpleNamespace(
                registry=parts["registry"], ami=None, alerts=parts["alerts"], forget=lambda who: None
            )
            parts["people"] = people(store, folder / "lines", parts["lines"], cast(Any, memory), clock)
        parts.setdefault("updates", UpdateNotice(None))
        parts.setdefault("activity", RecentActivity(lines, parts["statuses"], bus, clock))
        if "metrics" not in parts:
            sources = Sources(lines, parts["statuses"], parts["registry"], store.queue)
            parts["metrics"] = Metrics(sources)
        parts.setdefault("whole_calls", WholeCalls(parts["history"]))
        made = Services(**parts)
        web = WebSettings.model_validate({"port": 0, **(settings or {})})
        provider = OidcSettings.model_validate(oidc) if oidc else None
        with listening(web, folder / "astergram.sock") as at:
            async with serving(made, web, at, provider, clock=clock, steady=steady, heartbeat_s=heartbeat_s) as served:
                yield Site(folder, served, made, clock, steady)


@asynccontextmanager
async def page_served(services: Services, port: int = 0) -> AsyncIterator[Served]:
    """The page of the same parts once more, which can be stopped alone."""
    settings = WebSettings(port=port)
    with listening(settings) as at:
        async with serving(services, settings, at) as served:
            yield served


def nowhere(folder: Path) -> Surroundings:
    """For the doctor: everything is away."""
    return Surroundings(
        ari_url=NOBODY,
        ari_user="astergram",
        ari_password=SecretStr("secret"),
        state_dir=folder,
        telegram_servers=(("127.0.0.1", 1),),
    )


@dataclass
class Answer:
    """What came back."""

    status: int
    text: str
    response: ClientResponse
    raw: bytes = b""

    @property
    def path(self) -> str:
        """Where it came from, after redirects."""
        return self.response.url.path_qs

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    async def json(self) -> Any:
        return await self.response.json(content_type=None)


class _Form(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._action = action
        self._inside = False
        self._text = self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "form":
            self._inside = given.get("action") == self._action
        elif not self._inside:
            return
        elif tag == "input" and name and (kind not in ("checkbox", "radio") or "checked" in given):
            self.fields[name] = given.get("value", "")
        elif tag == "textarea":
            self._text, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in self.fields):
            self.fields[self._select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.fields[self._text] = self.fields[self._text].removeprefix("\n").replace("\n", "\r\n")
            self._text = ""
        elif tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] += data


def form_in(page: "Answer", action: str) -> dict[str, str]:
    """What a browser would send of a page's form if nothing were changed in it."""
    form = _Form(action)
    form.feed(page.text)
    assert form.fields, f"no form for {action} in {page.text}"
    return form.fields


@dataclass
class Browser:
    """Keeps cookies, and the CSRF token of the last page it got."""

    url: str
    http: ClientSession
    csrf: str = field(default="", repr=False)

    async def get(self, path: str | URL, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """Send a form as a page would: with its CSRF token."""
        return await self.ask("POST", path, data={"csrf": self.csrf, **(fields or {})}, **options)

    async def ask(self, method: str, path: str | URL, **options: Any) -> Answer:
        """Ask for anything; a path, or a whole address."""
        address = self.url + path if isinstance(path, str) and path.startswith("/") else path
        async with self.http.request(method, address, **options) as response:
            raw = await response.read()
        text = raw.decode("utf-8", "replace")
        if found := CSRF_FIELD.search(text):
            self.csrf = found[1]
        return Answer(response.status, text, response, raw)

    async def set_password(self, link: str, password: str = PASSWORD, again: str | None = None) -> Answer:
        """Open a link to set the password, and do so."""
        await self.get(link)
        secret = parse_qs(urlsplit(link).query)["link"][0]
        fields = {"link": secret, "password": password, "password_again": password if again is None else again}
        return await self.post("/password", fields)

    async def log_in(self, password: str = PASSWORD, next: str = "", name: str = "admin") -> Answer:
        """Open the page to sign in, and do so."""
        await self.get("/login")
        return await self.post("/login", {"username": name, "password": password, "next": next})


@asynccontextmanager
async def browser(of: Site, address: str = "127.0.0.1", **headers: str) -> AsyncIterator[Browser]:
    """A browser that has not signed in, at a loopback address."""
    connector = TCPConnector(local_addr=(address, 0))
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with ClientSession(connector=connector, cookie_jar=CookieJar(unsafe=True), headers=sent) as http:
        yield Browser(of.url, http)


@asynccontextmanager
async def signed_in(of: Site, **headers: str) -> AsyncIterator[Browser]:
    """A browser that is signed in; sets the password if nobody has."""
    async with browser(of, **headers) as opened:
        has_password = 'name="password"' in (await opened.get("/login")).text
        answer = await (opened.log_in() if has_password else opened.set_password(of.served.first_link))
        assert (answer.status, answer.path) == (200, "/"), answer.text
        yield opened


@asynccontextmanager
async def program(of: Site, token: str = "") -> AsyncIterator[Browser]:
    """A program with an API token; without one, it comes by the Unix socket."""
    if token:
        async with ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            yield Browser(of.url, http)
    else:
        async with ClientSession(connector=UnixConnector(str(of.socket))) as http:
            yield Browser("http://localhost", http)


async def held_to_its_document(of: Site, folder: Path, paths: str, *options: str) -> None:
    """Have schemathesis ask the operations whose paths match for all sorts of things; fails where it finds something.

    It never deletes, since it would revoke its own token. ``options``: further ones of `schemathesis run`.
    """
    async with program(of) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "tests", "right": "write"})).json()
    command = [
        *("-m", "schemathesis.cli", "run", f"{of.url}/api/openapi.json", "--include-path-regex", paths),
        *("--header", f"Authorization: Bearer {made['token']}", "--exclude-method", "DELETE"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-color"),
        *("--suppress-health-check", "all", *options),
    ]
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=folder, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SCHEMATHESIS_S):
            said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, said.decode()


@asynccontextmanager
async def user(of: Site, role: str, name: str = "", **headers: str) -> AsyncIterator[Browser]:
    """A browser that is signed in as a user of some role; who is made if they aren't there."""
    name = name or f"the-{role}"
    async with program(of) as cli:
        made = await cli.ask("POST", "/api/users", json={"name": name, "role": role, "password": PASSWORD})
        assert made.status in (201, 409), made.text
    async with browser(of, **headers) as opened:
        answer = await opened.log_in(name=name)
        assert answer.path == "/", answer.text
        yield opened
