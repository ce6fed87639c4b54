"""A room imports only from rooms below it, in the order in which the architecture page has them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
FEATURES = {
    "access",
    "alerts",
    "audit",
    "backups",
    "calls",
    "charts",
    "connect",
    "lines",
    "monitoring",
    "overview",
    "people",
    "settings",
    "webhooks",
}


def modules(room: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def levels() -> dict[str, int]:
    """The rooms and modules that the page's table names, and how high in it they are."""
    table = PAGE.read_text().partition("## Rooms\n")[2].partition("\n\n`telegram/`")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {
        name.removesuffix("/").removesuffix(".py").removeprefix("ari_app/"): height
        for height, row in enumerate(reversed(rows))
        for name in re.findall("`(.+?)`", row)
    }


def test_a_room_imports_from_below() -> None:
    heights = levels()

    def height(module: str) -> int:
        return heights.get(module.split(".")[1], heights["bus"])  # the page calls those "small modules"

    above = [
        f"{module}: {name}"
        for module, tree in modules("ari_app")
        if module != "ari_app"
        for name in imported(tree)
        if name.startswith("ari_app.") and height(name) > height(module)
    ]
    assert len(heights) > len(FEATURES)
    assert not above


def test_the_media_plane_knows_nothing_of_the_controller() -> None:
    wrong = [module for module, tree in modules("media") if any(name.startswith("ari_app") for name in imported(tree))]
    assert not wrong


def test_one_room_speaks_telethon() -> None:
    speaking = {
        module.split(".")[1]
        for module, tree in modules("ari_app")
        if any(name.split(".")[0] == "telethon" for name in imported(tree))
    }
    assert speaking == {"telegram", "sandbox"}, "the sandbox is a second opinion of its own"


def test_features_of_the_page_are_above_its_plumbing() -> None:
    above = {"http": FEATURES | {"ui"}, "ui": FEATURES}
    wrong = []
    for module, tree in modules("ari_app/web"):
        room = module.split(".")[2:3]
        for name in imported(tree):
            parts = name.split(".")
            if parts[:2] == ["ari_app", "web"] and room and parts[2:3] and parts[2] in above.get(room[0], ()):
                wrong.append(f"{module}: {name}")
    assert not wrong
