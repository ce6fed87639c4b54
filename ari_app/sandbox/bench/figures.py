"""What many measurements come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

PERCENTS = (50, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was really measured. Raises ValueError without any."""
    if not values:
        raise ValueError("nothing was measured")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float], unit: str, digits: int = 0) -> dict[str, float | None]:
    """Columns of a row: ``p50_UNIT``, ``p99_UNIT``, ``max_UNIT``, and ``of`` how many; null without any."""
    found = {f"p{percent}_{unit}": percentile(values, percent) if values else None for percent in PERCENTS}
    found[f"max_{unit}"] = max(values, default=None)
    return {"of": len(values)} | {name: rounded(value, digits) for name, value in found.items()}


def extremes(values: Sequence[float], unit: str, digits: int) -> dict[str, float | None]:
    """Columns of a row, of few values: ``lowest_UNIT``, ``middle_UNIT``, ``highest_UNIT``, and ``of`` how many."""
    percents = {"lowest": 0, "middle": 50, "highest": 100}
    found = {name: percentile(values, percent) if values else None for name, percent in percents.items()}
    return {"of": len(values)} | {f"{name}_{unit}": rounded(value, digits) for name, value in found.items()}


def median(values: Sequence[float], digits: int) -> float | None:
    """The one in the middle; None without any."""
    return rounded(statistics.median(values), digits) if values else None


def ratio(part: float, whole: float) -> float | None:
    """How many times one is the other, to two digits; None where there is nothing to compare with."""
    return round(part / whole, 2) if whole > 0 else None


def rounded(value: float | None, digits: int) -> float | None:
    """To so many digits, a whole number for 0."""
    if value is None:
        return None
    return round(value, digits) if digits else round(value)
