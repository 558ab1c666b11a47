"""Reads one part's rows in batches, epoch after epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sparktrain.feed import order, strings
from sparktrain.feed.filled import Filled, segment_path
from sparktrain.feed.schedule import Schedule
from sparktrain.feed.segments import read_ahead
from sparktrain.feed.store import INPUT, LABEL, WEIGHT
from sparktrain.feed.window import Window

WINDOW = 4  # segments mapped at once
_BLOCK_ROWS = 1 << 13  # rows planned at once, so that small batches have little overhead


class Batch(NamedTuple):
    """Rows to train on, as a tuple (inputs, label, weight); there may be none, and the arrays are not shared.

    Attributes:
        inputs: array [n, *shape] by the input's name; for strings an object array of bytes.
        label: array [n, *shape].
        weight: float32 array [n], or None.
    """

    inputs: dict[str, np.ndarray]
    label: np.ndarray
    weight: np.ndarray | None


class Shard:
    """One part's segments with the agreement of all parts, from which a training process reads its batches.

    Batches are a pure function of the segments, `seed`, `part`, the counts and batch sizes of all parts, and the epoch: the
    same rows in the same segments give bit-identical batches. Memory doesn't grow with the rows: a few segments are mapped
    at a time, and unmapped after use.

    Args:
        folders: this part's folders, in the order of the writer's; a single one needs no list.
        filled: the result of `SegmentWriter.close`.
        agreement: the result of `agree`.
        part: this part's number.
        seed: the seed of the order of rows.
        batch_sizes: the largest batch of each part.
    """

    def __init__(
        self,
        folders: str | Path | Sequence[str | Path],
        filled: Filled,
        agreement: dict[str, Any],
        part: int,
        seed: int,
        batch_sizes: Sequence[int],
    ):
        self.folders = [Path(folder) for folder in ([folders] if isinstance(folders, (str, Path)) else folders)]
        self.filled, self.agreement = filled, agreement
        self.part, self.seed = part, seed
        self.schedule = Schedule(tuple(agreement["counts"]), tuple(batch_sizes))
        self._names = [(name, INPUT + name) for name in agreement["inputs"]]
        kinds = (*self.inputs.values(), self.label)
        self._row_bytes = sum(math.prod(shape) * dtype.itemsize for shape, dtype in kinds) + 4 * self.weighted
        if any(dtype == strings.DTYPE for _, dtype in kinds):
            self._row_bytes = max(1, filled.bytes // max(1, filled.rows + filled.validation_rows))

    @property
    def inputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape and dtype of one row of each input."""
        return {name: _kind(described) for name, described in self.agreement["inputs"].items()}

    @property
    def label(self) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of one row's label."""
        return _kind(self.agreement["label"])

    @property
    def label_range(self) -> tuple[float, float]:
        """The least and the greatest label of all parts, including validation rows."""
        low, high = self.agreement["label_range"]
        return low, high

    @property
    def more_label_ranges(self) -> dict[str, tuple[float, float]]:
        """The least and the greatest label of each further output, by its name among the inputs."""
        return {name: (low, high) for name, (low, high) in self.agreement["more_label_ranges"].items()}

    @property
    def weighted(self) -> bool:
        """Whether batches have weights."""
        return self.agreement["weighted"]

    @property
    def rows_by_part(self) -> list[list[int]]:
        """[training rows, their digest (see `Filled`)] of each part, to recognise the same rows again."""
        return [list(pair) for pair in zip(self.agreement["counts"], self.agreement["digests"], strict=True)]

    @property
    def rows(self) -> int:
        """Training rows of this part."""
        return self.filled.rows

    @property
    def validation_rows(self) -> int:
        """Validation rows of this part."""
        return self.filled.validation_rows

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch (from 0): exactly `schedule.steps`, with every row in one; some may be empty."""
        counts = self.filled.segments
        keys = {"seed": self.seed, "part": self.part, "epoch": epoch}
        groups = order.windows(len(counts), WINDOW, **keys)
        batch_size = self.schedule.batch_sizes[self.part]
        run = order.run_length(self.rows, self._row_bytes, batch_size)
        return self._batches(
            groups,
            lambda window: order.shuffled([counts[number] for number in groups[window]], run, window=window, **keys),
            self.schedule.sizes(self.part),
            batch_size,
            validation=False,
        )

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """Yield the validation rows in the same batches every time: full ones and a shorter last one."""
        counts = self.filled.validation_segments
        rows = self.validation_rows
        return self._batches(
            [[number] for number in range(len(counts))],
            lambda window: np.arange(counts[window]),
            (min(batch_size, rows - start) for start in range(0, rows, batch_size)),
            batch_size,
            validation=True,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as values for JSON."""
        return {
            "folders": [str(folder) for folder in self.folders],
            "filled": self.filled.to_json(),
            "agreement": self.agreement,
            "part": self.part,
            "seed": self.seed,
            "batch_sizes": list(self.schedule.batch_sizes),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Shard:
        """Return the shard from the result of `to_json`."""
        return cls(**{**fields, "filled": Filled.from_json(fields["filled"])})

    def _batches(
        self,
        groups: Sequence[Sequence[int]],
        rows_of: Callable[[int], np.ndarray],
        sizes: Iterable[int],
        batch_size: int,
        validation: bool,
    ) -> Iterator[Batch]:
        """Yield batches of the given sizes from the rows of one window after another."""
        window: Window | None = None
        rows = np.empty(0, np.int64)
        windows = self._windows(groups, rows_of, validation)
        sizes = iter(sizes)
        try:
            while block := list(islice(sizes, max(1, _BLOCK_ROWS // batch_size))):
                while block:
                    whole = _fitting(block, len(rows))
                    if whole and window is not None:
                        planned = sum(block[:whole])
                        yield from map(self._batch, window.batches(rows[:planned], block[:whole]))
                        rows = rows[planned:]
                    elif whole:
                        yield from (self._batch(self._no_rows()) for _ in range(whole))
                    else:
                        # A batch with rows of more than one window.
                        whole, missing = 1, block[0]
                        pieces: list[dict[str, np.ndarray]] = []
                        while missing:
                            if window is None or not len(rows):
                                window, rows = next(windows)
                            taken = min(missing, len(rows))
                            pieces.extend(window.batches(rows[:taken], [taken]))
                            rows, missing = rows[taken:], missing - taken
                        yield self._batch({name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]})
                    block = block[whole:]
        finally:
            windows.close()

    def _windows(
        self, groups: Sequence[Sequence[int]], rows_of: Callable[[int], np.ndarray], validation: bool
    ) -> Generator[tuple[Window, np.ndarray], None, None]:
        places = self.filled.validation_places if validation else self.filled.places
        paths = [
            [segment_path(self.folders[places[number]], number, validation=validation) for number in group] for group in groups
        ]
        for number, mapped in enumerate(paths):
            for path in paths[number + 1] if number + 1 < len(paths) else ():
                read_ahead(path)
            window = Window(mapped)
            try:
                yield window, rows_of(number)
            finally:
                window.close()

    def _batch(self, fields: dict[str, np.ndarray]) -> Batch:
        return Batch({name: fields[field] for name, field in self._names}, fields[LABEL], fields.get(WEIGHT))

    def _no_rows(self) -> dict[str, np.ndarray]:
        kinds = {LABEL: self.label, **{field: self.inputs[name] for name, field in self._names}}
        if self.weighted:
            kinds[WEIGHT] = ((), np.dtype(np.float32))
        return {field: np.empty((0, *shape), dtype) for field, (shape, dtype) in kinds.items()}


def _fitting(sizes: Sequence[int], rows: int) -> int:
    """Return how many of the first batches can be filled with `rows` rows."""
    if sum(sizes) <= rows:
        return len(sizes)
    return int(np.searchsorted(np.cumsum(sizes), rows, side="right"))


def _kind(described: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype]:
    return tuple(described["shape"]), np.dtype(described["dtype"])
