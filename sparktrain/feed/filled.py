"""What one part knows about its rows once they lie in segments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Filled:
    """One part's rows on disk.

    Attributes:
        inputs: per input {"shape", "dtype", "columns"} of one row, the last a list of {"column", "shape", "dtype"};
            None where the part has no rows.
        label: {"column", "shape", "dtype"} of one row's label; None where the part has no rows.
        label_range: least and greatest label, or None where the part has no rows.
        more_label_ranges: likewise of the labels of further outputs, by their inputs' names.
        label_counts: [label, training rows] of each label where they are few whole numbers; None where they are not.
        weighted: whether rows have weights.
        segments: training rows of each segment.
        validation_segments: validation rows of each validation segment.
        places: the disk of each segment, by its number among the writer's folders.
        validation_places: likewise of each validation segment.
        bytes: size of all files.
        digest: the sum of the training rows' order keys, modulo 2**64: of other rows it is another. 0 without an order.
    """

    inputs: dict[str, dict[str, Any]] | None
    label: dict[str, Any] | None
    label_range: list[float] | None
    more_label_ranges: dict[str, list[float]]
    label_counts: list[list[int]] | None
    weighted: bool
    segments: list[int]
    validation_segments: list[int]
    places: list[int]
    validation_places: list[int]
    bytes: int
    digest: int = 0

    @property
    def rows(self) -> int:
        return sum(self.segments)

    @property
    def validation_rows(self) -> int:
        return sum(self.validation_segments)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Filled:
        return cls(**fields)


def segment_path(folder: Path, number: int, *, validation: bool = False) -> Path:
    return folder / f"{'validation' if validation else 'training'}-{number:05d}.arrow"
