"""What isn't built is refused by name, never ignored."""

from __future__ import annotations

import pytest

from sparktrain.config.not_built import NOT_BUILT

ASKED = {
    "training.checkpoint": {"every": 100, "keep": 2},
}


@pytest.mark.parametrize("key", [one.key for one in NOT_BUILT])
def test_what_is_not_built_is_refused_by_name(wrong, key):
    [problem] = wrong({key: ASKED[key]})
    assert problem.key == key
    assert "is not built yet" in str(problem) and problem.hint


def test_the_refusal_names_what_is_built_instead(wrong):
    [problem] = wrong({"training.checkpoint": {"every": 100}})
    assert str(problem).startswith("training.checkpoint: ") and str(problem).endswith("is not built yet; every: epoch is")


def test_saying_the_default_of_a_key_that_is_not_built_is_no_error(good):
    assert good({"training.checkpoint": None, "training.max_failures": 0}) == good()
