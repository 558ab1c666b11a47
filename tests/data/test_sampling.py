"""How many rows a sample takes, and where it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.config import Sample
from sparktrain.data.errors import InputError
from sparktrain.data.sampling import WAYS, apportion, find_class, locate, of_fraction, of_fractions, of_per_class, rounded

counts = st.dictionaries(st.integers(0, 50), st.integers(0, 10_000), min_size=1, max_size=12).filter(
    lambda found: sum(found.values()) > 0
)


@given(st.dictionaries(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(1, 1000), min_size=1), st.data())
def test_the_boundary_takes_exactly_the_rows_asked_for(buckets, data):
    need = data.draw(st.integers(1, sum(buckets.values())))
    at = locate(buckets.items(), need)
    below = sum(count for bucket, count in buckets.items() if bucket < at.bucket)
    assert below + at.need == need and 1 <= at.need <= at.count == buckets[at.bucket]


@given(counts, st.floats(0, 1))
def test_a_fraction_is_exact_in_sum_and_within_one_row_of_each_class_share(counts, share):
    total = rounded(share, sum(counts.values()))
    taken = apportion(total, counts)
    classes = [key for key, count in counts.items() if count]
    assert sum(taken.values()) == max(total, len(classes))
    assert all(min(1, counts[key]) <= taken[key] <= counts[key] for key in counts)
    if all(total * counts[key] >= sum(counts.values()) for key in classes):  # no class had to be helped to a row
        assert all(abs(taken[key] - total * counts[key] / sum(counts.values())) < 1 for key in classes)


def test_a_share_is_rounded_as_it_was_written():
    assert rounded(0.575, 1000) == 575 and rounded(0.145, 100) == 14 and rounded(0.155, 100) == 16
    assert of_fraction(0.001, {"a": 990, "b": 10}) == (
        {"a": 1, "b": 1},
        ["data.sample.fraction 0.001 makes 1 rows; 1 more are taken, so that each of the 2 classes keeps a row"],
    )


def test_a_class_with_fewer_rows_than_asked_for_is_taken_whole_and_named():
    taken, notes = of_per_class(5000, {3: 40, 4: 6000})
    assert taken == {3: 40, 4: 5000}
    assert notes == ["class 3 has 40 rows, fewer than the 5000 asked for"]


def test_a_named_class_keeps_a_row_and_others_are_whole():
    assert of_fractions({0: 0.001, 1: 0.5}, {0: 40, 1: 7, 2: 9})[0] == {0: 1, 1: 4, 2: 9}


def test_a_class_is_found_by_what_yaml_makes_of_its_name():
    assert find_class(1, {0.0: 5, 1.0: 5}) == 1.0
    assert find_class(1, {"0": 5, "1": 5}) == "1"
    assert find_class("true", {True: 5, False: 5}) is True


def test_a_class_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError) as refused:
        of_fractions({"refnd": 0.5}, {"other": 3, "refund": 4})
    assert "'refnd'" in str(refused.value) and "Did you mean 'refund'?" in str(refused.value)
    assert "The classes there are: other, refund." in str(refused.value)


def test_every_key_of_the_configuration_has_its_decision():
    assert list(WAYS) == list(Sample.model_fields)


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        ("fraction", 0.5, {"a": 4, "b": 1}),
        ("per_class", 3, {"a": 3, "b": 2}),
        ("fractions", {"a": 0.25}, {"a": 2, "b": 2}),
    ],
)
def test_the_key_that_is_set_decides(key, value, taken):
    chosen, asked = Sample(**{key: value}).way
    assert (chosen, asked) == (key, value)
    assert WAYS[chosen].decide(asked, {"a": 8, "b": 2})[0] == taken
