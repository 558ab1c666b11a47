"""The description of one part's rows in segments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Filled:
    """The description of one part's rows on disk.

    Attributes:
        inputs: {"shape", "dtype", "columns"} of one row for each input, with "columns" a list of {"column", "shape", "dtype"};
            None if the part has no rows.
        label: {"column", "shape", "dtype"} of one row's label; None if the part has no rows.
        label_range: the least and the greatest label; None if the part has no rows.
        more_label_ranges: the same for the labels of further outputs, by their inputs' names.
        label_counts: [label, training rows] of each label if they are few whole numbers; else None.
        weighted: whether rows have weights.
        segments: training rows of each segment.
        validation_segments: validation rows of each validation segment.
        places: the disk of each segment, by its number among the writer's folders.
        validation_places: the disk of each validation segment.
        bytes: the size of all files.
        digest: the sum of the training rows' order keys modulo 2**64, which identifies the rows; 0 without an order.
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
        """Training rows."""
        return sum(self.segments)

    @property
    def validation_rows(self) -> int:
        """Validation rows."""
        return sum(self.validation_segments)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Filled:
        """Return the description from the result of `to_json`."""
        return cls(**fields)


def segment_path(folder: Path, number: int, *, validation: bool = False) -> Path:
    """Return the path of a segment in a folder."""
    return folder / f"{'validation' if validation else 'training'}-{number:05d}.arrow"
