from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import Schedule

parts = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), min_size=1, max_size=6)


@given(parts)
def test_every_row_is_fed_exactly_once_whatever_the_counts(parts):
    counts, sizes = zip(*parts)
    schedule = Schedule(counts, sizes)
    for part, count in enumerate(counts):
        fed = [row for step in range(schedule.steps) for row in range(*schedule.bounds(part, step))]
        assert fed == list(range(count))


@given(parts)
def test_no_batch_is_larger_than_its_batch_size_and_none_is_needlessly_empty(parts):
    counts, sizes = zip(*parts)
    schedule = Schedule(counts, sizes)
    for part, (count, size) in enumerate(parts):
        rows = [schedule.rows(part, step) for step in range(schedule.steps)]
        assert max(rows, default=0) <= size
        assert list(schedule.sizes(part)) == rows
        if count >= schedule.steps:
            assert min(rows, default=1) >= 1


@given(parts)
def test_the_part_with_the_most_steps_has_plain_batches(parts):
    counts, sizes = zip(*parts)
    schedule = Schedule(counts, sizes)
    assert schedule.steps == max(ceil(count / size) for count, size in parts)
    count, size = parts[schedule.leader]
    plain = [min(size, count - start) for start in range(0, count, size)]
    assert [schedule.rows(schedule.leader, step) for step in range(schedule.steps)] == plain


@given(parts)
def test_a_step_has_the_rows_of_all_parts_and_all_steps_have_all_rows(parts):
    counts, sizes = zip(*parts)
    schedule = Schedule(counts, sizes)
    assert sum(schedule.total(step) for step in range(schedule.steps)) == sum(counts)
    # Spread in proportion: by any step, every part is as far as the leader, to one row.
    for step in range(schedule.steps):
        fed = schedule.bounds(schedule.leader, step)[1]
        for part, count in enumerate(counts):
            assert 0 <= count * fed / counts[schedule.leader] - schedule.bounds(part, step)[1] < 1


def test_the_first_of_equal_parts_leads_and_counts_near_each_other_are_told_apart():
    assert Schedule((10, 10), (5, 5)).leader == 0
    huge = 10**17
    assert Schedule((huge, huge + 1), (3, 3)).leader == 1


def test_no_rows_at_all_are_no_steps():
    assert Schedule((0, 0), (4, 4)).steps == 0


def test_a_step_outside_the_epoch_and_a_wrong_number_of_sizes_are_refused():
    with pytest.raises(IndexError, match="step 2 of an epoch of 2"):
        Schedule((4,), (2,)).rows(0, 2)
    with pytest.raises(ValueError, match="2 row counts and 1 batch sizes"):
        Schedule((4, 4), (2,))
