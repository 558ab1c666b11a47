"""Determines the order in which a part's rows are read, by pure functions of (seed, part, epoch, segment row counts).

The rows of a part are stored in the order of a hash of their content, so that any range of a segment is a random sample of
them. In addition, every epoch reads the segments in a new order, in windows of a few segments, and shuffles each window's
rows: one by one if all rows fit into a processor's cache; else in short runs of neighbours, because memory is read 1.5 times
as fast in runs of a few rows as row by row. The runs' boundaries change with every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SEED_MASK = (1 << 64) - 1
_CACHE_BYTES = 16 << 20  # up to this size, the order of memory accesses doesn't matter
_RUN_BYTES = 64 << 10  # from this size on, memory is read at nearly its sequential speed
_RUNS_OF_A_BATCH = 8  # a batch has at least so many runs


def windows(segments: int, size: int, *, seed: int, part: int, epoch: int) -> list[list[int]]:
    """Return the segments' numbers in an epoch's order, in windows of at most `size` segments, all about equally large."""
    order = _generator(seed, part, epoch, 0).permutation(segments)
    groups = -(-segments // size)
    return [group.tolist() for group in np.array_split(order, groups)] if groups else []


def run_length(rows: int, row_bytes: int, batch_size: int) -> int:
    """Return how many neighbouring rows stay together: 1 if all fit into the cache, else a few, at most an eighth of a batch."""
    if rows * row_bytes <= _CACHE_BYTES:
        return 1
    return max(1, min(batch_size // _RUNS_OF_A_BATCH, _RUN_BYTES // row_bytes))


def shuffled(rows: Sequence[int], run: int, *, seed: int, part: int, epoch: int, window: int) -> np.ndarray:
    """Return the order of one window's rows.

    Args:
        rows: the row counts of the window's segments, in the window's order.
        run: how many neighbours of a segment stay together at most.
        window: the window's number in its epoch, from 0.

    Returns:
        int64 array [sum(rows)]: a permutation of the rows, numbered through the window's segments one after another.
    """
    generator = _generator(seed, part, epoch, window + 1)
    total = sum(rows)
    if run == 1:
        return generator.permutation(total)
    # The first run of a segment is shorter by a random offset, which moves all later boundaries.
    offset = int(generator.integers(1, run + 1))
    firsts = np.cumsum([0, *rows[:-1]])
    begin = np.concatenate([first + np.arange(offset - run, count, run).clip(0) for first, count in zip(firsts, rows)])
    lengths = np.diff(begin, append=total)
    mixed = generator.permutation(len(begin))
    begin, lengths = begin[mixed], lengths[mixed]
    return np.repeat(begin - (np.cumsum(lengths) - lengths), lengths) + np.arange(total)


def _generator(seed: int, part: int, epoch: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed & _SEED_MASK, part, epoch, stream))
