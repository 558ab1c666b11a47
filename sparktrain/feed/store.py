"""Collects rows in memory, sorts them if required, and writes them to segments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparktrain.feed import strings
from sparktrain.feed.disks import Disks
from sparktrain.feed.filled import segment_path
from sparktrain.feed.layout import Column
from sparktrain.feed.segments import write_segment
from sparktrain.feed.spool import Spool

LABEL, WEIGHT, INPUT, ORDER = "label", "weight", "input:", "order"


@dataclass(frozen=True)
class Field:
    """An array of the segments: an input, the label or the weight; or the keys that rows are sorted by."""

    name: str
    columns: tuple[Column, ...]
    shapes: tuple[tuple[int, ...], ...]  # of one row of each column
    dtypes: tuple[np.dtype, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    runs: tuple[tuple[int, int], ...] = ((0, 1),)  # groups of columns converted together: first and one past the last

    @property
    def row_bytes(self) -> int:
        """About the bytes of a row in memory; for strings without their content."""
        return math.prod(self.shape) * (strings.VALUE_BYTES if self.dtype == strings.DTYPE else self.dtype.itemsize)

    def told(self) -> dict[str, Any]:
        """Return the description of the field for `Filled`."""
        return {
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "columns": [
                {"column": column.name, "shape": list(shape), "dtype": str(dtype)}
                for column, shape, dtype in zip(self.columns, self.shapes, self.dtypes)
            ],
        }


class Store:
    """The training rows of a part, or its validation rows, on their way to segments.

    Rows are copied into a buffer until it is full, by their number or the content of their strings. Then they are written as
    a segment; or, if one of the fields is ORDER, to a spool, from which sorted segments of the other fields are written when
    all rows are there. Rows that all fit into the buffer are sorted in it, and are one segment. Which rows share a segment
    depends only on their ORDER and their sizes, not on when they arrive.

    Args:
        disks: the disks for segments and spool files.
        fields: the arrays of a segment.
        capacity: rows of a segment at most.
        content: bytes of the strings in a segment at which it is full.
        validation: whether these are the validation rows.

    Attributes:
        segments: rows of each segment that was written.
        places: the disk of each segment, by its number among the folders of `disks`.
        bytes: the size of the segments.
    """

    def __init__(self, disks: Disks, fields: list[Field], capacity: int, content: int, validation: bool):
        self._disks, self._validation, self._capacity, self._content = disks, validation, capacity, content
        self._arrays = {field.name: np.empty((capacity, *field.shape), field.dtype) for field in fields}
        self._strings = [array for array in self._arrays.values() if array.dtype == strings.DTYPE]
        self._used = 0
        self._held = 0  # bytes of the strings' content
        self._spool: Spool | None = None  # used once the buffer has been full
        self.segments: list[int] = []
        self.places: list[int] = []
        self.bytes = 0

    def append(self, rows: dict[str, list[np.ndarray]], count: int) -> None:
        """Append `count` rows, given as the arrays of each field's columns."""
        done = 0
        while done < count:
            more = min(count - done, self._capacity - self._used)
            for name, array in self._arrays.items():
                _join([part[done : done + more] for part in rows[name]], array[self._used : self._used + more])
            self._held += sum(strings.content(array[self._used : self._used + more]) for array in self._strings)
            self._used += more
            done += more
            if self._used == self._capacity or self._held >= self._content:
                self._spill() if ORDER in self._arrays else self._write()

    def close(self, between: Callable[[], None]) -> None:
        """Write all rows that are not in segments yet, and call `between` after each segment."""
        if self._spool is None:
            if ORDER in self._arrays:
                self._sort()
            self._write()
            between()
            return
        self._spill()
        del self._arrays[ORDER]
        for block in self._spool.merged(self._capacity, self._content):
            self._used = block.count
            block.copy(self._rows())
            self._write(over=block.paths)
            between()

    def _rows(self) -> dict[str, np.ndarray]:
        return {name: array[: self._used] for name, array in self._arrays.items()}

    def _sort(self) -> None:
        order = np.argsort(self._arrays.pop(ORDER)[: self._used])
        for rows in self._rows().values():
            rows[...] = rows.take(order, axis=0)

    def _spill(self) -> None:
        if self._spool is None:
            self._spool = Spool(self._disks, "validation" if self._validation else "training")
        if self._used:
            rows = self._rows()
            self._spool.write(rows.pop(ORDER), rows)
            self._empty()

    def _write(self, over: Mapping[int, Path] = {}) -> None:
        """Write the buffer as a segment, over one of these files if there is one on the chosen disk."""
        if self._used:
            rows = self._rows()
            disk = self._disks.take(sum(map(strings.written_size, rows.values())))
            path = segment_path(self._disks.folders[disk], len(self.segments), validation=self._validation)
            self.bytes += write_segment(path, rows, over.get(disk))
            self.segments.append(self._used)
            self.places.append(disk)
            self._empty()

    def _empty(self) -> None:
        for array in self._strings:
            array[: self._used] = None
        self._used = self._held = 0


def _join(parts: list[np.ndarray], target: np.ndarray) -> None:
    """Copy a field's columns side by side into `target`."""
    if len(parts) == 1:
        target[...] = parts[0].reshape(target.shape)
        return
    column = 0
    for part in parts:
        flat = part.reshape(len(part), -1)
        target[:, column : column + flat.shape[1]] = flat
        column += flat.shape[1]
