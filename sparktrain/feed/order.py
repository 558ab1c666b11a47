"""In which order a part's rows are read: pure functions of (seed, part, epoch, segment row counts).

The rows of a part already lie in the order of a hash of their content, so any stretch of a segment is a fair sample
of them. On top of that every epoch takes the segments in a new order, a window of a few of them at a time, and
shuffles the window's rows: one by one where all rows fit into a processor's cache; else in short runs, a few
neighbours staying together, because memory hands out a few rows in a row half as fast again as the same rows one by
one. Which rows are neighbours moves with every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SEED_MASK = (1 << 64) - 1
_CACHE_BYTES = 16 << 20  # up to here memory's ways don't matter
_RUN_BYTES = 64 << 10  # from here on memory is read at nearly its sequential speed
_RUNS_OF_A_BATCH = 8  # a batch comes from at least so many places


def windows(segments: int, size: int, *, seed: int, part: int, epoch: int) -> list[list[int]]:
    """The segments in this epoch's order, grouped to windows of at most `size`, all about equally large."""
    order = _generator(seed, part, epoch, 0).permutation(segments)
    groups = -(-segments // size)
    return [group.tolist() for group in np.array_split(order, groups)] if groups else []


def run_length(rows: int, row_bytes: int, batch_size: int) -> int:
    """How many neighbouring rows are kept together: 1 for few rows, else few against both batch and memory's ways."""
    if rows * row_bytes <= _CACHE_BYTES:
        return 1
    return max(1, min(batch_size // _RUNS_OF_A_BATCH, _RUN_BYTES // row_bytes))


def shuffled(rows: Sequence[int], run: int, *, seed: int, part: int, epoch: int, window: int) -> np.ndarray:
    """The order of one window's rows.

    Args:
        rows: row counts of the window's segments, in the window's order.
        run: how many neighbours of a segment stay together, at most.
        window: the window's number in its epoch, from 0.

    Returns:
        int64 array [sum(rows)], a permutation: numbers that count through the window's segments one after another.
    """
    generator = _generator(seed, part, epoch, window + 1)
    total = sum(rows)
    if run == 1:
        return generator.permutation(total)
    # The first run of a segment is a shorter one, so that all later boundaries move with the offset.
    offset = int(generator.integers(1, run + 1))
    firsts = np.cumsum([0, *rows[:-1]])
    begin = np.concatenate([first + np.arange(offset - run, count, run).clip(0) for first, count in zip(firsts, rows)])
    lengths = np.diff(begin, append=total)
    mixed = generator.permutation(len(begin))
    begin, lengths = begin[mixed], lengths[mixed]
    return np.repeat(begin - (np.cumsum(lengths) - lengths), lengths) + np.arange(total)


def _generator(seed: int, part: int, epoch: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed & _SEED_MASK, part, epoch, stream))
