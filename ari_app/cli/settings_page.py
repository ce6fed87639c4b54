"""Every setting on a page, made from the types: docs/settings.md, and docs/ru/settings.md by the catalogue's words."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ari_app.alerts.settings import AlertSettings
from ari_app.backups.settings import BackupSettings
from ari_app.config import Settings
from ari_app.described import Described, described
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import CardSettings, LineSettings
from ari_app.telegram.texts import Texts
from ari_app.web.ui.languages import languages

Translate = Callable[[object], str]


@dataclass(frozen=True)
class PageTexts:
    """What the page says around its tables; ``sections``: of the configuration file, what is not said by the type."""

    language: str
    intro: str
    file: str = "The configuration file"
    installation: tuple[str, str] = "The installation", "Over what the configuration file says."
    alerts: tuple[str, str] = "Alerts", "Under Settings → Alerts, or by `astergram alerts settings`."
    backups: tuple[str, str] = "Backups", "Under Settings → Backups, or by `astergram backups settings`."
    line: str = "A line"
    card: str = "Its business card"
    texts: tuple[str, str] = "Its texts", "In English (`texts.en`) and Russian (`texts.ru`)."
    columns: str = "| key | what it is | default | bounds |"
    required: str = "required"
    alternative: str = " or "
    above: str = "above"
    least: str = "from"
    most: str = "to"
    sections: Mapping[str, str] = field(default_factory=dict)


ENGLISH = PageTexts(
    "en",
    """\
# Settings

Made from the program by `scripts/reference`; change it there.

- The configuration file is `/etc/astergram/astergram.toml`; [astergram.sample.toml](astergram.sample.toml) has all of
  it. Any key can be given in the environment instead: `ASTERGRAM_ASTERISK__PASSWORD` is `password` in `[asterisk]`.
- What belongs to the installation or to a line is set on the page, with `astergram settings` and `astergram line set`,
  or by the API, and takes effect at once. [line.sample.toml](line.sample.toml) has all that a line has.
""",
)
RUSSIAN = PageTexts(
    "ru",
    """\
# Настройки

Страница создана из программы скриптом `scripts/reference`; исправлять нужно там.

- Файл конфигурации — `/etc/astergram/astergram.toml`; в [astergram.sample.toml](../astergram.sample.toml) он есть
  целиком (по-английски). Любой ключ можно задать и в окружении: `ASTERGRAM_ASTERISK__PASSWORD` — это `password`
  в `[asterisk]`.
- Настройки установки и линии задаются на странице, командами `astergram settings` и `astergram line set` или через
  API и действуют сразу. В [line.sample.toml](../line.sample.toml) есть всё, что бывает у линии (по-английски).
""",
    file="Файл конфигурации",
    installation=("Установка", "Поверх того, что в файле конфигурации."),
    alerts=("Оповещения", "Настройки → Оповещения или `astergram alerts settings`."),
    backups=("Резервные копии", "Настройки → Резервные копии или `astergram backups settings`."),
    line="Линия",
    card="Её визитка",
    texts=("Её тексты", "По-английски (`texts.en`) и по-русски (`texts.ru`)."),
    columns="| ключ | что это | по умолчанию | границы |",
    required="обязателен",
    alternative=" или ",
    above="больше",
    least="от",
    most="до",
    sections={
        "asterisk": "Asterisk: где его ARI и как туда попадает звук.",
        "telegram": "Telegram: приложение, если оно не задано на странице, и какой именно Telegram.",
        "bot": "Бот от @BotFather для клавиатуры и визитки; у него должен быть включён инлайн-режим (/setinline).",
        "ami": "Интерфейс AMI в Asterisk (manager.conf), для событий и `astergram doctor`; необязателен.",
        "agi": "FastAGI, через который спрашивает диалплан ([dialplan.md](dialplan.md)); без раздела не работает.",
        "backups": "Где хранятся копии; расписание задаётся на странице ([backups.md](backups.md)).",
        "updates": "Спрашивать ли о новой версии там, откуда установлен Astergram ([upgrade.md](upgrade.md)).",
        "web": "Страница администратора и JSON API.",
        "oidc": "Вход через OpenID Connect ([single-sign-on.md](single-sign-on.md)); без раздела не работает.",
        "cluster": "Одни и те же линии на нескольких машинах ([cluster.md](cluster.md)); без раздела машина одна.",
        "calls": "Что ограничивает каждый звонок и сколько звонки хранятся.",
        "retention": "Сколько хранится остальное, что касается людей. Всё можно задать на странице.",
        "media": "Медиапроцессы, по одному на звонок.",
        "log": "Лог в стандартный поток ошибок; насколько подробный, задаёт `log_level`.",
        "traces": "Спаны звонков для OpenTelemetry; куда их отправлять, говорят переменные OTEL_*.",
    },
)


def settings_page(texts: PageTexts) -> str:
    """All of it."""
    page = _Page(texts, languages()[texts.language].translate)
    parts = [texts.intro, f"## {texts.file}\n", *page.table(Settings)]
    for name, _, model in sections():
        parts += [f"\n### `[{name}]`\n", f"{texts.sections.get(name, first_line(model))}\n", *page.table(model)]
    for (title, where), its in (
        (texts.installation, InstallationSettings),
        (texts.alerts, AlertSettings),
        (texts.backups, BackupSettings),
    ):
        parts += [f"\n## {title}\n", f"{where}\n", *page.table(its)]
    parts += [f"\n## {texts.line}\n", *page.table(LineSettings)]
    parts += [f"\n### {texts.card}\n", *page.table(CardSettings, "card.")]
    title, where = texts.texts
    parts += [f"\n### {title}\n", f"{where}\n", *page.table(Texts)]
    return "\n".join(parts) + "\n"


def sections() -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    """Of the configuration file."""
    for name, its in Settings.model_fields.items():
        for model in get_args(its.annotation) or (its.annotation,):
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield name, its, model


def told(each: Described, translate: Translate = str) -> str:
    """What a setting is, in sentences."""
    setting = each.setting
    unit = f", {translate(setting.unit)}" if setting.unit else ""
    more = f" {translate(setting.help)}" if setting.help else ""
    return f"{translate(setting.title)}{unit}.{more}"


def value_in_toml(value: Any) -> str:
    """As the file has it."""
    if isinstance(value, tuple):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def first_line(model: type[BaseModel]) -> str:
    """Of its docstring."""
    return (model.__doc__ or "").partition("\n")[0]


class _Page:
    """Tables in a language."""

    def __init__(self, texts: PageTexts, translate: Translate) -> None:
        self._texts = texts
        self._translate = translate

    def table(self, model: type[BaseModel], prefix: str = "") -> list[str]:
        rows = (
            (f"`{prefix}{each.key}`", told(each, self._translate), self._default(each), self._bounds(each))
            for each in described(model)
        )
        return [self._texts.columns, "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]

    def _default(self, each: Described) -> str:
        if each.field.is_required():
            return self._texts.required
        return "" if each.field.default in (None, "", (), {}) else f"`{value_in_toml(each.field.default)}`"

    def _bounds(self, each: Described) -> str:
        its, (least, most) = self._texts, each.bounds
        choice = its.alternative.join(f"`{option}`" for option in each.options)
        words = ((its.above, each.above), (its.least, least), (its.most, most))
        return choice or " ".join(f"{word} {bound}" for word, bound in words if bound is not None)
