"""The samples of a call's audio: how they are kept, and what is read from them."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

from ari_app.calls.samples import Sample


def each_time(samples: Sequence[Sample], name: str) -> list[tuple[float, float]]:
    """What a sum (``lost``, ``concealed_ms``) has grown by until each sample: its time, and by how much."""
    sums = [0, *(getattr(sample, name) for sample in samples)]
    return [(sample.at_s, max(0, sums[index + 1] - sums[index])) for index, sample in enumerate(samples)]


def as_columns(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """For JSON, which would otherwise repeat each name in each sample."""
    rows = [astuple(sample) for sample in samples]
    return {field.name: [row[index] for row in rows] for index, field in enumerate(fields(Sample))}


def from_columns(columns: Mapping[str, Sequence[Any]]) -> tuple[Sample, ...]:
    """What `as_columns` made; what is empty has no samples."""
    return tuple(Sample(*row) for row in zip(*(columns.get(each.name, ()) for each in fields(Sample)), strict=True))
