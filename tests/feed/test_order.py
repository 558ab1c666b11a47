from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed.order import run_length, shuffled, windows

KEYS = {"seed": 7, "part": 0, "epoch": 0}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(1, 20), st.integers(-9, 9), st.integers(0, 3))
def test_a_window_gives_each_of_its_rows_once_in_runs_of_any_length(rows, run, seed, epoch):
    keys = {"seed": seed, "part": 1, "epoch": epoch, "window": 2}
    order = shuffled(rows, run, **keys)
    assert sorted(order.tolist()) == list(range(sum(rows)))
    assert (order == shuffled(rows, run, **keys)).all()


@given(st.integers(0, 40), st.integers(1, 6))
def test_windows_have_each_segment_once_and_are_about_equally_large(segments, size):
    groups = windows(segments, size, **KEYS)
    assert sorted(number for group in groups for number in group) == list(range(segments))
    lengths = [len(group) for group in groups]
    assert not lengths or (max(lengths) <= size and max(lengths) - min(lengths) <= 1)


def test_epochs_parts_and_seeds_have_orders_of_their_own():
    orders = {
        tuple(shuffled([50, 50], run, seed=seed, part=part, epoch=epoch, window=window))
        for run in (1, 4)
        for seed in (1, 2)
        for part in (0, 1)
        for epoch in (0, 1)
        for window in (0, 1)
    }
    assert len(orders) == 32


def test_neighbours_change_from_epoch_to_epoch():
    def pairs(epoch: int) -> set[int]:
        order = shuffled([4096], 8, seed=1, part=0, epoch=epoch, window=0)
        return set(order[:-1][np.diff(order) == 1].tolist())

    parted = [set(range(4095)) - pairs(epoch) for epoch in range(60)]
    assert len(set.union(*parted)) > 4000  # hardly a pair that was never parted


def test_the_order_is_the_one_that_earlier_runs_had():
    # Resuming in the middle of an epoch, and the same weights tomorrow, depend on it.
    order = shuffled([1000, 500], 8, seed=7, part=1, epoch=2, window=3)
    told = windows(9, 4, seed=7, part=1, epoch=2), hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()[:16]
    assert told == ORDER


def test_rows_stay_together_only_where_memory_asks_for_it():
    assert run_length(rows=100_000, row_bytes=100, batch_size=64) == 1
    assert run_length(rows=10**6, row_bytes=3136, batch_size=64) == 8
    assert run_length(rows=10**6, row_bytes=3136, batch_size=1024) == 20
    assert run_length(rows=10**6, row_bytes=10**6, batch_size=64) == 1
    assert run_length(rows=10**6, row_bytes=3136, batch_size=1) == 1


ORDER = ([[1, 5, 7], [2, 3, 6], [8, 4, 0]], "c6dcabbeec20c1a7")
