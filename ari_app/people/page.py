"""The table of docs/people.md, made of the kinds of data: `scripts/reference`."""

from collections.abc import Callable, Iterator

from ari_app.i18n import Message, message
from ari_app.lines.installation import InstallationSettings
from ari_app.people.kinds import KINDS, DataKind

BEGINNING, END = "<!-- kinds: made by scripts/reference -->\n", "<!-- end of kinds -->\n"
HEADS = (
    message("Personal data"),
    message("Processing purpose"),
    message("Where"),
    message("Storage period"),
    message("On erasure"),
)

Translate = Callable[[Message], str]


def with_table(text: str, translate: Translate) -> str:
    """A page with its table as it is to be."""
    before, _, rest = text.partition(BEGINNING)
    after = rest.partition(END)[2]
    return f"{before}{BEGINNING}\n{chr(10).join(_table(translate))}\n\n{END}{after}"


def _table(translate: Translate) -> Iterator[str]:
    yield f"| {' | '.join(map(translate, HEADS))} |"
    yield "|---" * len(HEADS) + "|"
    for kind in KINDS:
        cells = (
            f"**{translate(kind.title)}** (`{kind.name}`). {translate(kind.data)}",
            translate(kind.purpose),
            translate(kind.place),
            _period(kind, translate),
            translate(kind.erasure),
        )
        yield f"| {' | '.join(cells)} |"


def _period(kind: DataKind, translate: Translate) -> str:
    told = translate(kind.period)
    if not kind.setting:
        return told
    days = message("days: {days}", days=InstallationSettings.model_fields[kind.setting].default)
    return f"{told}. `{kind.setting}`, {translate(days)}"
