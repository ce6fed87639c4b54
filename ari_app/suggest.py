"""What somebody probably meant, who has mistyped a word."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, get_args


def alike(word: str, known: Iterable[str]) -> str | None:
    """What is most like a word; None where nothing is."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean ...?`, to end a sentence with; empty where nothing is like it."""
    found = alike(word, known)
    return f", did you mean {found}?" if found else ""


def dotted_keys(model: Any) -> Iterator[str]:
    """Every key of a pydantic model, those of its sections with dots."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        if section is None:
            yield name
        else:
            yield from (f"{name}.{key}" for key in dotted_keys(section))
