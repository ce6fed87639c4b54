"""The samples and the page of settings are what the program makes of its settings, each of which says what it is."""

from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from ari_app.alerts.settings import AlertSettings
from ari_app.backups.settings import BackupSettings
from ari_app.cli.reference import documents
from ari_app.config import AgiSettings, AmiSettings, CallSettings, Settings
from ari_app.described import described
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import LineSettings
from ari_app.web.calls.api import CallBody
from ari_app.web.oidc.settings import OidcSettings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", documents())
def test_a_document_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == documents()[name], "run scripts/reference"


@pytest.mark.parametrize(
    "model",
    [
        Settings,
        AmiSettings,
        AgiSettings,
        OidcSettings,
        InstallationSettings,
        AlertSettings,
        BackupSettings,
        LineSettings,
    ],
)
def test_every_setting_is_described(model: type[BaseModel]) -> None:
    said = {each.key for each in described(model)}
    for key, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            test_every_setting_is_described(below)
        elif key not in ("ami", "agi", "oidc", "cluster"):  # a section, or nothing
            assert key in said, f"{model.__name__}.{key}"


def test_a_bound_that_is_itself_refused_says_so() -> None:
    assert next(each.above for each in described(CallSettings) if each.key == "ring_s") == "0"
    assert "| above 0 |" in documents()["settings.md"]


def test_every_field_of_a_call_is_described() -> None:
    for name, field in TypeAdapter(CallBody).json_schema(mode="serialization")["properties"].items():
        assert field.get("description"), name
