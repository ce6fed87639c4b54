"""Imports aiogram without completing all of its types, which takes five of the six seconds of a core that it takes.

As it is imported, `aiogram.types` has each of some 600 pydantic models build what it checks values with
(`model_rebuild`), and each does so for all the models that it names, too. Calls would wait for Python's lock meanwhile.
Here a model is completed when it is first used, as those of pydantic's ``defer_build`` are.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from pydantic import BaseModel

AIOGRAM = "aiogram"

_loading = threading.Lock()


def load() -> None:
    """Import it; for a thread. A second thread waits for the first one."""
    with _loading:
        _load()


def _load() -> None:
    names: dict[str, Any] = {}
    build = BaseModel.__dict__["model_rebuild"]

    def build_later(model: type[Any], /, **options: Any) -> bool | None:
        if not model.__module__.startswith(f"{AIOGRAM}."):
            return build.__get__(None, model)(**options)  # type: ignore[no-any-return]
        names.update(options.get("_types_namespace") or {})
        return None

    def build_now(model: type[Any], /, **options: Any) -> bool | None:
        return build.__get__(None, model)(**options | {"_types_namespace": names})  # type: ignore[no-any-return]

    BaseModel.model_rebuild = classmethod(build_later)  # type: ignore[method-assign, assignment]
    try:
        importlib.import_module(AIOGRAM)
    finally:
        BaseModel.model_rebuild = build  # type: ignore[method-assign]
    if names:  # else it had been imported before, or does this no more
        for base in ("types.base.TelegramObject", "methods.base.TelegramMethod"):
            module, _, name = base.rpartition(".")
            getattr(importlib.import_module(f"{AIOGRAM}.{module}"), name).model_rebuild = classmethod(build_now)
