"""Which trials continue after an epoch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.config import Stop
from sparktrain.search.stopping import is_rung, why_stop

ASHA, MEDIAN = Stop(by="asha"), Stop(by="median", after=2)


def at(epoch, *values):
    return [{epoch: value} for value in values]


def test_asha_decides_after_the_first_epochs_and_three_times_as_many_each_time():
    assert [epoch for epoch in range(1, 30) if is_rung(epoch, 1)] == [1, 3, 9, 27]
    assert [epoch for epoch in range(1, 30) if is_rung(epoch, 2)] == [2, 6, 18]
    assert why_stop(ASHA, "max", 2, {2: 0.0}, at(2, 1.0, 1.0)) is None


def test_of_a_rung_the_best_third_goes_on_and_who_comes_first_does_too():
    assert why_stop(ASHA, "max", 1, {1: 0.5}, []) is None
    assert why_stop(ASHA, "max", 1, {1: 0.5}, at(1, 0.6)) == "1 of 1 other trials were better than 0.5000 after epoch 1 (asha)"
    assert why_stop(ASHA, "max", 1, {1: 0.8}, at(1, 0.6, 0.9, 0.1, 0.2, 0.3)) is None
    assert why_stop(ASHA, "min", 1, {1: 0.8}, at(1, 0.6, 0.9, 0.1, 0.2, 0.3)) is not None
    assert why_stop(ASHA, "max", 1, {1: 0.5}, at(2, 0.6)) is None  # another epoch's


def test_a_trial_whose_best_is_worse_than_the_median_of_the_others_ends():
    others = at(2, 0.5, 0.6, 0.7)
    assert why_stop(MEDIAN, "max", 2, {1: 0.65, 2: 0.1}, others) is None
    assert "worse than the median of the others after epoch 2, 0.6000" in why_stop(MEDIAN, "max", 2, {1: 0.2, 2: 0.1}, others)
    assert why_stop(MEDIAN, "max", 2, {2: 0.1}, others[:2]) is None  # too few to say
    assert why_stop(MEDIAN, "max", 1, {1: 0.1}, at(1, 1.0, 1.0, 1.0)) is None  # before stop.after


@pytest.mark.parametrize("stop", [ASHA, Stop(by="median")])
def test_a_value_that_is_none_ends_a_trial(stop):
    assert why_stop(stop, "max", 1, {1: None}, []) == "it has no value after epoch 1"


def test_without_stop_every_trial_has_all_its_epochs():
    assert why_stop(Stop(), "max", 1, {1: 0.0}, at(1, 1.0, 1.0, 1.0)) is None


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.sampled_from(["asha", "median"]), st.sampled_from(["min", "max"])
)
def test_the_best_trial_always_goes_on(values, by, mode):
    best = (min if mode == "min" else max)(values)
    others = list(values)
    others.remove(best)
    assert why_stop(Stop(by=by), mode, 1, {1: best}, at(1, *others)) is None
