"""Pages from templates: escaped always, in the reader's language."""

import functools
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from babel import Locale
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
    pass_eval_context,
)
from jinja2.filters import do_xmlattr
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markupsafe import Markup

from ari_app import __version__, zones
from ari_app.web.http.context import identity, web_of
from ari_app.web.http.errors import is_htmx, is_live
from ari_app.web.http.flash import flashes_of
from ari_app.web.http.roles import route_roles_of
from ari_app.web.ui import formats
from ari_app.web.ui.languages import SOURCE_LANGUAGE, Language, languages, preferred, reader_locale

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
FEATURES = {path.parent.name: path for path in TEMPLATES.parents[1].glob("*/templates") if path != TEMPLATES}
"""Where each feature has its own: `lines/form.html` is `web/lines/templates/form.html`."""

EXTENSIONS = ("jinja2.ext.i18n", "jinja2.ext.do")

Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
LANGUAGE_CHOICE, THEME_CHOICE = "language", "theme"


class Templates:
    """The templates in each language. Making it takes some time, for it reads the languages."""

    def __init__(self) -> None:
        self.languages = languages()
        zones.names()  # read now, and not when the settings ask for them
        versions = {file.relative_to(STATIC).as_posix(): _version(file) for file in STATIC.rglob("*") if file.is_file()}
        self._environments = {code: _environment(language, versions) for code, language in self.languages.items()}

    def environment(self, code: str) -> Environment:
        """The templates in one language."""
        return self._environments[code]

    def language(self, request: web.Request) -> Language:
        """The reader's language."""
        choice = web_of(request).cookies.choice(request, LANGUAGE_CHOICE)
        return preferred(self.languages, choice, request.headers.get("Accept-Language", SOURCE_LANGUAGE))

    def locale(self, request: web.Request) -> Locale:
        """How the reader's browser would write dates and numbers, in their language."""
        return reader_locale(self.language(request), request.headers.get("Accept-Language", ""))

    def theme(self, request: web.Request) -> Theme:
        """The reader's theme."""
        choice = web_of(request).cookies.choice(request, THEME_CHOICE)
        return choice if choice in THEMES else "auto"

    def page(self, request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
        """A page, or, where htmx asks, a part of one."""
        its, who, language = web_of(request), identity(request), self.language(request)
        environment = self.environment(language.code)
        base: dict[str, Any] = {
            "request": request,
            "path": request.path,
            "who": who,
            "may": partial(route_roles_of(request).may, who.role),
            "csrf": who.csrf,
            "language": language,
            "languages": self.languages.values(),
            "theme": self.theme(request),
            "themes": THEMES,
            "now": its.clock(),
            "locale": self.locale(request),
            "zone": its.services.zone,
            "timezone": _shown_zone(its.services.zone, its.clock()),
            "version": __version__,
            "messages": flashes_of(request).take(who.digest) if who.digest and not is_live(request) else [],
        }
        text = environment.get_template(template).render(base | values)
        if is_htmx(request) and base["messages"]:
            text += environment.get_template("messages.html").render(base | {"out_of_band": True})
        headers = {"Vary": "HX-Request, Cookie, Accept-Language"}
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)


@functools.cache
def load_templates() -> Templates:
    """All templates, read and compiled once in a process."""
    return Templates()


TEMPLATES_KEY = web.AppKey("templates", Templates)


def templates_of(request: web.Request) -> Templates:
    """Those of the page."""
    return request.config_dict[TEMPLATES_KEY]


def translator_of(request: web.Request) -> Callable[[object], str]:
    """What puts messages into the asker's language."""
    return templates_of(request).language(request).translate


def render(request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
    """What a handler ends with. Shows, with `flash(...)`'s messages, a template; its values are escaped."""
    return templates_of(request).page(request, template, status, **values)


def _environment(language: Language, versions: Mapping[str, str]) -> Environment:
    features = {name: FileSystemLoader(folder) for name, folder in FEATURES.items()}
    environment = Environment(
        loader=ChoiceLoader((FileSystemLoader(TEMPLATES), PrefixLoader(features))),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=EXTENSIONS,
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True

    def static(name: str) -> str:
        return f"/static/{name}?v={versions[name]}"

    @pass_context
    def ago(context: Context, unix: float | None) -> Markup | str:
        return formats.ago(unix, context["now"], context["locale"], context["zone"])

    @pass_context
    def when(context: Context, unix: float | None, form: str = "medium") -> Markup | str:
        return formats.when(unix, context["locale"], context["zone"], form)

    @pass_context
    def number(context: Context, value: float | None, digits: int = 0) -> str:
        return formats.number(value, context["locale"], digits)

    environment.globals.update(static=static, translate=language.translate)
    environment.filters.update(
        when=when, ago=ago, duration=formats.duration, number=number, translate=language.translate
    )
    environment.filters["xmlattr"] = _attributes
    return environment


def _shown_zone(zone: tzinfo, now: float) -> str:
    """Its name, and how far it is from UTC now."""
    name, offset = zones.name_of(zone), zones.offset_of(zone, datetime.fromtimestamp(now, UTC))
    return name if name == offset else f"{name} ({offset})"


@pass_eval_context
def _attributes(context: EvalContext, given: Mapping[str, Any]) -> str:
    """Jinja's filter, but for what is simply so: ``required``, say, has no value in HTML but its own name or none."""
    return do_xmlattr(context, {name: "" if value is True else value for name, value in given.items()})


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
