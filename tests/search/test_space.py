"""The values of trials without Optuna."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparktrain.config import Range
from sparktrain.search.space import drawn, of_grid

LISTS = {"a": Range(choice=[1, 2, 3]), "b": Range(choice=["x", "y"])}


def test_a_grid_has_every_point_once_and_its_last_key_varies_fastest():
    points = [of_grid(LISTS, number) for number in range(6)]
    assert points[:3] == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}]
    assert len({tuple(point.values()) for point in points}) == 6


@given(st.integers(0, 2**31 - 1))
def test_random_trials_of_lists_never_repeat_a_point_before_all_were_there(seed):
    points = [tuple(drawn(LISTS, seed, number).values()) for number in range(6)]
    assert len(set(points)) == 6


@given(
    st.integers(0, 2**31 - 1),
    st.integers(0, 1000),
    st.floats(1e-6, 1e6),
    st.floats(1.001, 1e6),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.booleans(),
)
def test_values_lie_in_their_ranges_and_depend_on_seed_and_number_alone(seed, number, low, factor, smallest, more, log):
    space = {
        "f": Range(float=[low, low * factor], log=log),
        "i": Range(int=[smallest, smallest + more], log=log),
        "s": Range(int=[0, 10], step=5),
    }
    values = drawn(space, seed, number)
    assert low <= values["f"] <= low * factor
    assert smallest <= values["i"] <= smallest + more and isinstance(values["i"], int)
    assert values["s"] in (0, 5, 10)
    assert values == drawn(space, seed, number)


def test_both_ends_of_a_range_of_whole_numbers_are_drawn():
    space = {"i": Range(int=[1, 3], log=True)}
    assert {drawn(space, 7, number)["i"] for number in range(60)} == {1, 2, 3}


def test_another_seed_gives_other_values():
    space = {"f": Range(float=[0.0, 1.0])}
    assert drawn(space, 1, 0) != drawn(space, 2, 0) and drawn(space, 1, 0) != drawn(space, 1, 1)
