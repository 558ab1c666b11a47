"""What isn't built is refused by name, never ignored."""

from __future__ import annotations

import pytest

from sparktrain.config.not_built import NOT_BUILT

ASKED = {
    "training.workers": {"min": 2, "max": 8},
    "training.gpus_per_worker": 1,
    "training.checkpoint": {"every": "epoch", "keep": 2},
    "training.max_failures": 3,
    "training.time_limit": 60,
    "cluster.worker_memory": "8g",
}


@pytest.mark.parametrize("key", [one.key for one in NOT_BUILT])
def test_what_is_not_built_is_refused_by_name(wrong, key):
    [problem] = wrong({key: ASKED[key]})
    assert problem.key == key
    assert "is not built yet" in str(problem) and problem.hint


def test_the_refusal_names_what_is_built_instead(wrong):
    [problem] = wrong({"training.max_failures": 3})
    assert str(problem) == "training.max_failures: 3 is not built yet; 0 is: the first failure ends the run"


def test_saying_the_default_of_a_key_that_is_not_built_is_no_error(good):
    assert good({"training.checkpoint": None, "training.time_limit": None, "training.max_failures": 0,
                 "training.gpus_per_worker": "auto"}) == good()
