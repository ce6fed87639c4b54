"""Backups: made, listed, downloaded, removed; and put in place at the next start."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, field_serializer

from ari_app.backups.backups import BackupFile, BackupRefused, Backups, PassphraseRefused, UnknownBackup
from ari_app.backups.settings import BackupSettings
from ari_app.backups.staging import StagedBackup
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.web.audit.recording import actor_of
from ari_app.web.backups.forms import ABOUT
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.lines.api import told

LONGEST_PASSPHRASE = 1000
Name = Annotated[
    str,
    Field(
        pattern=r"^astergram-[0-9]{8}T[0-9]{6}Z\.tar\.gz(\.age)?$", examples=["astergram-20261129T033000Z.tar.gz.age"]
    ),
]


class BackupAnswer(BaseModel):
    """A file: when it was made (a Unix time), its size in bytes, and whether it is encrypted."""

    name: str
    made_at: float
    size: int
    encrypted: bool

    @classmethod
    def of(cls, file: BackupFile) -> "BackupAnswer":
        """One that there is."""
        return cls.model_validate(file, from_attributes=True)


class StagedAnswer(BaseModel):
    """What is put in place at the next start: its name, how many sessions it has, and since when it waits."""

    name: str
    sessions: int
    at: float

    @classmethod
    def of(cls, staged: StagedBackup) -> "StagedAnswer":
        """What waits."""
        return cls.model_validate(staged, from_attributes=True)


class BackupsAnswer(BaseModel):
    """The backups, the newest first."""

    folder: str
    files: list[BackupAnswer]
    running: bool = Field(description="Whether one is being made now.")
    trouble: str | None = Field(description="Why the last one could not be made.")
    staged: StagedAnswer | None


class BackupSettingsAnswer(BackupSettings):
    """What is set; of a secret only that it is set."""

    passphrase: Annotated[Literal["set"] | None, ABOUT["passphrase"].setting] = None  # type: ignore[assignment]

    @field_serializer("passphrase", when_used="json")
    def _hidden(self, secret: object) -> Literal["set"] | None:
        return "set" if secret else None


class BackupSettingsChange(RootModel[dict[str, JsonValue]]):
    """A JSON Merge Patch (RFC 7396) of what is set for backups: null is the default."""


class Restoring(BaseModel):
    """With which passphrase it was encrypted; empty for the one that is set."""

    model_config = ConfigDict(extra="forbid")

    passphrase: str = Field("", max_length=LONGEST_PASSPHRASE, json_schema_extra={"format": "password"})


async def get_backups(asked: Asked) -> BackupsAnswer:
    """Which there are."""
    its = _backups(asked)
    waits = its.staged
    return BackupsAnswer(
        folder=str(its.folder),
        files=[BackupAnswer.of(each) for each in await its.files()],
        running=its.running,
        trouble=told(asked, its.trouble) if its.trouble else None,
        staged=StagedAnswer.of(waits) if waits else None,
    )


async def make_backup(asked: Asked) -> BackupAnswer:
    """Make one now; the answer comes when it is there."""
    made = await _backups(asked).make()
    notes_of(asked.request).subject = made.name
    return BackupAnswer.of(made)


async def download_backup(asked: Asked, name: Name) -> web.StreamResponse:
    """The file as it is."""
    path = await _backups(asked).path(name)
    return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def remove_backup(asked: Asked, name: Name) -> None:
    """Remove one for good."""
    await _backups(asked).remove(name)


async def restore_backup(asked: Asked, name: Name, body: Restoring) -> StagedAnswer:
    """Unpack and examine one; it is put in place when Astergram is started again, and what was there is put aside."""
    by = actor_of(asked.request, asked.who)
    return StagedAnswer.of(await _backups(asked).stage(name, body.passphrase, by))


async def cancel_restore(asked: Asked) -> None:
    """Let all be as it is at the next start, too."""
    its = _backups(asked)
    if staged := its.staged:
        notes_of(asked.request).subject = staged.name
    await its.unstage()


async def get_backup_settings(asked: Asked) -> BackupSettingsAnswer:
    """When they are made, and how many are kept."""
    return _settings(asked, _backups(asked).part.settings)


async def change_backup_settings(asked: Asked, body: BackupSettingsChange) -> BackupSettingsAnswer:
    """Change some of it; it takes effect at once."""
    return _settings(asked, await _backups(asked).part.change(body.root, asked.read))


def _backups(asked: Asked) -> Backups:
    return asked.services.backups


def _settings(asked: Asked, settings: BackupSettings) -> BackupSettingsAnswer:
    asked.answers_version(version_of(settings))
    return BackupSettingsAnswer.model_construct(**dict(settings))


ONE = "/api/backups/files/{name}"
UNKNOWN = {404: UnknownBackup}

operations = (
    Operation("GET", "/api/backups", get_backups, "Backups"),
    Operation("POST", "/api/backups", make_backup, "Make a backup", errors={409: BackupRefused}, status=201),
    Operation("GET", "/api/backups/settings", get_backup_settings, "What is set for backups", versioned=True),
    Operation(
        "PATCH",
        "/api/backups/settings",
        change_backup_settings,
        "Change what is set for backups",
        errors={412: SettingsChanged, 422: SettingRefused},
        versioned=True,
    ),
    Operation("DELETE", "/api/backups/restore", cancel_restore, "Restore nothing", errors={409: BackupRefused}),
    Operation(
        "GET",
        ONE,
        download_backup,
        "Download a backup",
        errors=UNKNOWN,
        media_type="application/octet-stream",
    ),
    Operation("DELETE", ONE, remove_backup, "Remove a backup", errors={**UNKNOWN, 409: BackupRefused}),
    Operation(
        "POST",
        f"{ONE}/restore",
        restore_backup,
        "Restore a backup at the next start",
        errors={**UNKNOWN, 403: PassphraseRefused, 409: BackupRefused},
    ),
)
