"""A few segments mapped at once, and batches gathered from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from sparktrain.feed.segments import Segment

_WIDE = 1 << 10     # bytes of a row from which each batch is gathered by itself, in one pass


class Window:
    """Segments mapped into memory together, their rows numbered through; to be closed.

    Args:
        paths: the segments, at least one.
    """

    def __init__(self, paths: Sequence[Path]):
        self._segments = [Segment(path) for path in paths]
        self.counts = [segment.rows for segment in self._segments]
        self._starts = np.cumsum([0, *self.counts[:-1]])
        self._shapes = {name: field.shape[1:] for name, field in self._segments[0].fields.items()}
        self._dtypes = {name: field.dtype for name, field in self._segments[0].fields.items()}

    def close(self) -> None:
        """Unmap the segments. No batch is a view of them."""
        for segment in self._segments:
            segment.close()

    def batches(self, rows: np.ndarray, sizes: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
        """Gather rows, cut to batches, into arrays of their own.

        A batch has exactly its rows; within it those of one segment stand together, which is what makes gathering
        fast. Nothing that is trained on a batch depends on their order.

        Args:
            rows: int64 array of row numbers within the window.
            sizes: of the batches, 0 allowed; their sum is the number of rows.

        Yields:
            The arrays [size, ...] by field. Small fields of neighbouring batches share memory.
        """
        sources, batch_count = len(self._segments), len(sizes)
        of_segment = np.zeros(len(rows), np.min_scalar_type(max(1, batch_count * sources)))
        for start in self._starts[1:]:
            of_segment += rows >= start
        groups = np.repeat(np.arange(batch_count, dtype=of_segment.dtype) * of_segment.dtype.type(sources), sizes)
        groups += of_segment
        grouped = np.argsort(groups, kind="stable")
        of_segment = of_segment[grouped]
        local = rows[grouped] - self._starts[of_segment]
        ends = np.cumsum(np.bincount(groups, minlength=batch_count * sources)).tolist()
        shapes, dtypes = self._shapes, self._dtypes
        wide = {name for name in shapes if math.prod(shapes[name]) * dtypes[name].itemsize >= _WIDE}
        shared = {}
        if len(shapes) > len(wide):
            by_segment = np.argsort(of_segment, kind="stable")
            bounds = np.cumsum(np.bincount(of_segment, minlength=sources)).tolist()
            inverse = np.empty_like(by_segment)
            inverse[by_segment] = np.arange(len(by_segment))
            in_segments = local[by_segment]
            for name in shapes:
                if name not in wide:
                    found = np.empty((len(rows), *shapes[name]), dtypes[name])
                    self._gather(name, in_segments, 0, bounds, found)
                    shared[name] = found.take(inverse, axis=0)
        start = 0
        for number, size in enumerate(sizes):
            batch = {name: array[start:start + size] for name, array in shared.items()}
            for name in wide:
                batch[name] = np.empty((size, *shapes[name]), dtypes[name])
                self._gather(name, local, start, ends[number * sources:(number + 1) * sources], batch[name])
            start += size
            yield batch

    def _gather(self, name: str, local: np.ndarray, start: int, ends: Sequence[int], target: np.ndarray) -> None:
        """Copy rows to the target: segment by segment, those numbered by `local` from the end before to its end."""
        first = start
        for segment, end in zip(self._segments, ends):
            if end > start:
                # "clip" spares a copy through a buffer; no row number is out of range.
                segment.fields[name].take(
                    local[start:end], axis=0, out=target[start - first:end - first], mode="clip"
                )
                start = end
