"""What isn't built is refused by name, never ignored."""

from __future__ import annotations

import pytest

from sparktrain.config.not_built import NOT_BUILT

ASKED = {
    "training.checkpoint": {"every": 100, "keep": 2},
    "training.time_limit": 60,
}


@pytest.mark.parametrize("key", [one.key for one in NOT_BUILT])
def test_what_is_not_built_is_refused_by_name(wrong, key):
    [problem] = wrong({key: ASKED[key]})
    assert problem.key == key
    assert "is not built yet" in str(problem) and problem.hint


def test_the_refusal_names_what_is_built_instead(wrong):
    [problem] = wrong({"training.time_limit": 60})
    assert str(problem) == "training.time_limit: this key is not built yet; leave it out"


def test_saying_the_default_of_a_key_that_is_not_built_is_no_error(good):
    assert good({"training.checkpoint": None, "training.time_limit": None, "training.max_failures": 0,
                 "training.gpus_per_worker": "auto"}) == good()
