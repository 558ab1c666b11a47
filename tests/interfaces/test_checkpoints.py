"""Which checkpoint an attempt goes on from, and which are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparktrain.interfaces.checkpoints import Checkpoint, read, to_go_on_from, to_remove

SOME = st.lists(st.builds(Checkpoint, st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), unique=True)


@given(SOME)
def test_names_are_read_back_and_in_the_order_of_training(some):
    assert read([each.file for each in some] + ["else.txt"]) == sorted(some)
    assert sorted(each.file for each in some) == [each.file for each in sorted(some)]


@given(SOME, st.integers(1, 3))
def test_within_an_epoch_only_as_many_workers_go_on(some, size):
    found = to_go_on_from(some, size)
    usable = {each for each in some if each.step == 0 or each.size == size}
    assert (found is None) == (not usable)
    assert found is None or (found in usable and all(each <= found for each in usable))


@given(SOME, st.integers(1, 3), st.integers(1, 3))
def test_what_is_removed_never_costs_another_number_of_workers_its_last(some, keep, size):
    left = [each for each in some if each not in to_remove(some, keep)]
    ends = [each for each in some if each.step == 0]
    assert set(sorted(some)[-keep:]) <= set(left) and len(left) <= keep + 1
    if ends:
        assert to_go_on_from(left, size) >= max(ends)
