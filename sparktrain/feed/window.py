"""Maps a few segments at once, and gathers batches from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sparktrain.feed.segments import Segment
from sparktrain.feed.strings import StringRows

_WIDE = 1 << 10  # bytes of a field's row from which on each batch is gathered separately, in one pass


class Window:
    """Segments that are mapped into memory together until the window is closed, with their rows numbered consecutively.

    Args:
        paths: the segments, at least one.
    """

    def __init__(self, paths: Sequence[Path]):
        self._segments = [Segment(path) for path in paths]
        self.counts = [segment.rows for segment in self._segments]
        self._starts = np.cumsum([0, *self.counts[:-1]])
        fields = self._segments[0].fields.items()
        self._wide_fields = [name for name, rows in fields if rows.nbytes >= _WIDE * len(rows)]
        self._narrow_fields = [name for name in self._segments[0].fields if name not in self._wide_fields]

    def close(self) -> None:
        """Unmap the segments. Batches are no views of them."""
        for segment in self._segments:
            segment.close()

    def batches(self, rows: np.ndarray, sizes: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
        """Gather rows into batches, as new arrays.

        Within a batch, rows are grouped by segment, which makes gathering fast; training doesn't depend on their order
        within a batch.

        Args:
            rows: int64 array of row numbers within the window.
            sizes: the sizes of the batches, which may be 0; their sum is the number of rows.

        Yields:
            The arrays [size, ...] of each batch by field. Small fields of neighbouring batches share memory.
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
        shared = self._narrow(of_segment, local) if self._narrow_fields else {}
        wide = [(name, [segment.fields[name] for segment in self._segments]) for name in self._wide_fields]
        start = 0
        for number, size in enumerate(sizes):
            stop = start + size
            batch = {name: rows[start:stop] for name, rows in shared.items()}
            for name, views in wide:
                batch[name] = _taken(views, local, start, ends[number * sources : (number + 1) * sources])
            yield batch
            start = stop

    def _narrow(self, of_segment: np.ndarray, local: np.ndarray) -> dict[str, np.ndarray]:
        """Return the narrow fields of rows, given each row's segment and its number in it."""
        by_segment = np.argsort(of_segment, kind="stable")
        ends = np.cumsum(np.bincount(of_segment, minlength=len(self._segments))).tolist()
        back = np.empty_like(by_segment)
        back[by_segment] = np.arange(len(by_segment))
        local = local[by_segment]
        return {
            name: _taken([segment.fields[name] for segment in self._segments], local, 0, ends).take(back, axis=0)
            for name in self._narrow_fields
        }


def _taken(views: Sequence[np.ndarray | StringRows], local: np.ndarray, start: int, ends: Sequence[int]) -> np.ndarray:
    """Gather rows of the segments into a new array: from segment i the rows `local[ends[i - 1]:ends[i]]` (from `start` for 0)."""
    # "clip" avoids a copy through a buffer; no row number is out of range.
    if len(views) == 1:
        return views[0].take(local[start : ends[0]], 0, None, "clip")
    first, stop = start, ends[-1]
    rows = np.empty((stop - first, *views[0].shape[1:]), views[0].dtype)
    for view, end in zip(views, ends):
        if end > start:
            view.take(local[start:end], 0, rows[start - first : end - first], "clip")
            start = end
    return rows
