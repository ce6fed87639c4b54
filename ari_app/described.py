"""What a setting is, said once beside its type: forms, the API's document, the samples and docs/settings.md read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, GetJsonSchemaHandler, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from ari_app.i18n import Message

Kind = Literal["text", "number", "switch", "list", "secret", "choice"]
KINDS: Mapping[Any, Kind] = {
    SecretStr: "secret",
    bool: "switch",
    int: "number",
    float: "number",
    tuple: "list",
    Literal: "choice",
}


@dataclass(frozen=True)
class Setting:
    """For `Annotated`: a setting's title, what there is to know of it, and its unit (SI's sign, or a word).

    ``example``: a value for the samples, where the default is none.
    """

    title: Message
    help: Message | None = None
    unit: Message | None = None
    example: str | int | None = None

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        told = f"{self.help}" if self.help else ""
        unit = {"x-unit": str(self.unit)} if self.unit else {}
        return {**handler(schema), "title": str(self.title), **({"description": told} if told else {}), **unit}


@dataclass(frozen=True)
class Described:
    """One setting of a model: its key, its field, and what it is."""

    key: str
    field: FieldInfo
    setting: Setting

    @property
    def kind(self) -> Kind:
        """What it is typed into."""
        types = _types(self.field.annotation)
        return next((kind for each, kind in KINDS.items() if each in types), "text")

    @property
    def options(self) -> tuple[str, ...]:
        """What a choice is among."""
        return get_args(self.field.annotation) if self.kind == "choice" else ()

    @property
    def bounds(self) -> tuple[str | None, str | None]:
        """The least and the most that a number may be; None where there is no bound. See `above`, too."""
        least = next((each.ge for each in self.field.metadata if isinstance(each, annotated_types.Ge)), None)
        most = next((each.le for each in self.field.metadata if isinstance(each, annotated_types.Le)), None)
        return _number(least), _number(most)

    @property
    def above(self) -> str | None:
        """What a number must be more than; None where there is no such bound."""
        return _number(next((each.gt for each in self.field.metadata if isinstance(each, annotated_types.Gt)), None))

    @property
    def is_whole(self) -> bool:
        """Whether a number has no fraction."""
        return float not in _types(self.field.annotation)


def described(model: type[BaseModel]) -> Iterator[Described]:
    """The settings of a model that are described, in their order."""
    for key, field in model.model_fields.items():
        for each in field.metadata:
            if isinstance(each, Setting):
                yield Described(key, field, each)


def _number(bound: Any) -> str | None:
    return None if bound is None else f"{bound:.15g}"


def _types(annotation: Any) -> set[Any]:
    """What a type is made of, without what is noted beside it."""
    if get_origin(annotation) is Annotated:
        return _types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_types, get_args(annotation)))
    return {get_origin(annotation) or annotation}
