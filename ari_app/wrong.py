"""What is wrong with what somebody entered, as sentences; never with the value itself, which may be a secret.

pydantic finds it; its own English never gets to anybody. What each type of its errors means:
docs.pydantic.dev/latest/errors/validation_errors
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import core_schema

from ari_app.i18n import Message, message

NUMBER, WHOLE, TEXT = message("Enter a number."), message("Enter a whole number."), message("Enter a text.")
NEEDED, LIST, GROUP = (
    message("It is needed."),
    message("Enter a list."),
    message("This is a group of settings, not one value."),
)
SWITCH, PATH = message("Enter true or false."), message("Enter the path of a file.")

KINDS: Mapping[str, Message] = {
    "missing": NEEDED,
    "extra_forbidden": message("This is no setting of Astergram's."),
    "int_parsing": NUMBER,
    "int_parsing_size": NUMBER,
    "int_type": NUMBER,
    "int_from_float": WHOLE,
    "float_parsing": NUMBER,
    "float_type": NUMBER,
    "finite_number": NUMBER,
    "bool_parsing": SWITCH,
    "bool_type": SWITCH,
    "string_type": TEXT,
    "string_unicode": TEXT,
    "string_sub_type": TEXT,
    "list_type": LIST,
    "tuple_type": LIST,
    "set_type": LIST,
    "dict_type": GROUP,
    "model_type": GROUP,
    "model_attributes_type": GROUP,
    "path_type": PATH,
    "string_pattern_mismatch": message("This does not have the form that is needed here."),
    "greater_than_equal": message("At least {ge}, please."),
    "greater_than": message("More than {gt}, please."),
    "less_than_equal": message("At most {le}, please."),
    "less_than": message("Less than {lt}, please."),
    "string_too_short": message("At least {min_length} characters, please."),
    "string_too_long": message("At most {max_length} characters, please."),
    "too_short": message("It needs at least {min_length} of them."),
    "too_long": message("At most {max_length} of them, please."),
    "literal_error": message("One of these, please: {expected}."),
    "enum": message("One of these, please: {expected}."),
}


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong: the name of the field, with dots, and why it can't be used."""

    key: str
    reason: Message

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}" if self.key else str(self.reason)


class Told(ValueError):
    """A value that one of our own checks refuses, in a sentence; a text is one that no page shows."""

    def __init__(self, said: Message | str) -> None:
        super().__init__(str(said))
        self.sentence = said if isinstance(said, Message) else message("{reason}", reason=said)


@dataclass(frozen=True)
class Form:
    """For `Annotated`: a text has to match a regular expression; ``needed`` says in words what it asks for."""

    pattern: str
    needed: Message

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise Told(self.needed)
        return text


def wrong_in(error: ValidationError) -> tuple[Wrong, ...]:
    """All that pydantic found wrong."""
    found = error.errors(include_url=False, include_input=False)
    return tuple(Wrong(".".join(map(str, each["loc"])), reason(each)) for each in found)


def reason(error: Any) -> Message:
    """One of pydantic's errors."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        raised = context["error"]
        sentence = getattr(raised, "sentence", None)
        return sentence if isinstance(sentence, Message) else message("{reason}", reason=str(raised))
    if kind in KINDS:
        return Message(KINDS[kind].text, {name: _shown(value) for name, value in context.items()})
    return message("{reason}", reason=error["msg"])


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace(" or ", ", ")
