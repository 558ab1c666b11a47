"""The layout of a row: which columns are inputs, label, weight and validation mark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MORE_LABEL = "label:"  # a prefix that no name of a model's input has


@dataclass(frozen=True)
class Column:
    """A column of the frame, and how it is converted for the model.

    Attributes:
        name: the column's name.
        shape: the shape that one row's numbers are reshaped to, which must have as many; None: as in the data.
        length: pad or cut the first axis of an array to this many elements; None: all rows must have the same length.
        pad: the element to pad with.
        side: "pre" pads and cuts at the front, as keras.utils.pad_sequences by default; "post" at the end.
    """

    name: str
    shape: tuple[int, ...] | None = None
    length: int | None = None
    pad: float = 0
    side: str = "pre"

    def __post_init__(self) -> None:
        if self.shape is not None and any(size < 1 for size in self.shape):
            raise ValueError(f"column {self.name!r}: shape is {list(self.shape)}, expected sizes of at least 1")
        if self.length is not None and self.length < 1:
            raise ValueError(f"column {self.name!r}: length is {self.length}, expected at least 1")
        if self.side not in ("pre", "post"):
            raise ValueError(f"column {self.name!r}: side is {self.side!r}, expected 'pre' or 'post'")
        if not math.isfinite(self.pad):
            raise ValueError(f"column {self.name!r}: pad is {self.pad}, expected a finite number")


@dataclass(frozen=True)
class Input:
    """An input of the model.

    A single column keeps its shape; a column of numbers has the shape (1,), unless its `shape` is set to (). Several columns
    are flattened per row and concatenated, in their order.
    """

    name: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"input {self.name!r} has no columns")


@dataclass(frozen=True)
class Layout:
    """The columns of a row for the model.

    Attributes:
        inputs: the inputs in the model's order; then, named `MORE_LABEL` and their column, the labels of the model's second
            and further outputs.
        label: the label's column.
        classes: the label's values in the order of their class numbers; None if the label has numbers already.
        weight: the column of sample weights, or None.
        validation: the boolean column that marks validation rows, or None.
        order: the int64 column in whose order the rows are put; None to keep the order in which they arrive.
        sent: the names and dtypes of packed columns (`packing.unpacked`); None if they aren't packed.
    """

    inputs: tuple[Input, ...]
    label: str
    classes: tuple[Any, ...] | None = None
    weight: str | None = None
    validation: str | None = None
    order: str | None = None
    sent: Mapping[str, str | None] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return {
            "inputs": [
                {
                    "name": source.name,
                    "columns": [
                        {
                            "name": column.name,
                            "shape": None if column.shape is None else list(column.shape),
                            "length": column.length,
                            "pad": column.pad,
                            "side": column.side,
                        }
                        for column in source.columns
                    ],
                }
                for source in self.inputs
            ],
            "label": self.label,
            "classes": None if self.classes is None else list(self.classes),
            "weight": self.weight,
            "validation": self.validation,
            "order": self.order,
            "sent": None if self.sent is None else dict(self.sent),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Layout:
        """Return the layout from the result of `to_json`."""
        return cls(
            inputs=tuple(
                Input(
                    source["name"],
                    tuple(
                        Column(**{**column, "shape": None if column["shape"] is None else tuple(column["shape"])})
                        for column in source["columns"]
                    ),
                )
                for source in fields["inputs"]
            ),
            label=fields["label"],
            classes=None if fields["classes"] is None else tuple(fields["classes"]),
            weight=fields["weight"],
            validation=fields["validation"],
            order=fields["order"],
            sent=fields["sent"],
        )
