"""Rows on their way to segments: collected in memory, and put in order where that is asked for."""

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
    """One array of the segments, an input, the label or the weight; or the numbers by which rows are put in order."""

    name: str
    columns: tuple[Column, ...]
    shapes: tuple[tuple[int, ...], ...]  # of one row of each column
    dtypes: tuple[np.dtype, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    runs: tuple[tuple[int, int], ...] = ((0, 1),)  # of columns that are converted together, first and one past the last

    @property
    def row_bytes(self) -> int:
        """About what a row takes in memory; of strings, without their content."""
        return math.prod(self.shape) * (strings.VALUE_BYTES if self.dtype == strings.DTYPE else self.dtype.itemsize)

    def told(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "columns": [
                {"column": column.name, "shape": list(shape), "dtype": str(dtype)}
                for column, shape, dtype in zip(self.columns, self.shapes, self.dtypes)
            ],
        }


class Store:
    """The training rows of a part, or its validation rows.

    They are copied into the same memory until it is full: of rows, or of the content of strings. Then they are a segment;
    or, where one of the fields is ORDER, they go to a spool, and become segments, of the other fields, when all are there;
    those that fit into the memory are put in order there, and are one segment. Which rows share a segment is told by their
    ORDER and their size alone, and not by when they came.

    Args:
        capacity: rows of a segment at most.
        content: bytes of the strings in a segment, at which it is full.

    Attributes:
        segments: rows of each that was written.
        places: the disk of each, by its number among the folders of `disks`.
        bytes: size of these files.
    """

    def __init__(self, disks: Disks, fields: list[Field], capacity: int, content: int, validation: bool):
        self._disks, self._validation, self._capacity, self._content = disks, validation, capacity, content
        self._arrays = {field.name: np.empty((capacity, *field.shape), field.dtype) for field in fields}
        self._strings = [array for array in self._arrays.values() if array.dtype == strings.DTYPE]
        self._used = 0
        self._held = 0  # bytes of strings' content
        self._spool: Spool | None = None  # once the memory was full
        self.segments: list[int] = []
        self.places: list[int] = []
        self.bytes = 0

    def append(self, rows: dict[str, list[np.ndarray]], count: int) -> None:
        """Copy rows, of each field the arrays of its columns, behind those that are there."""
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
        """Write all that is not yet in segments, and call `between` after each."""
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
        """Write a segment; in place of a file that nobody needs any more, where one of these is on the disk that takes it."""
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
    """Copy a field's columns side by side."""
    if len(parts) == 1:
        target[...] = parts[0].reshape(target.shape)
        return
    column = 0
    for part in parts:
        flat = part.reshape(len(part), -1)
        target[:, column : column + flat.shape[1]] = flat
        column += flat.shape[1]
