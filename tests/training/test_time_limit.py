"""When training ends for its time limit."""

from __future__ import annotations

import time

import pytest

from sparktrain.models.errors import TrainingError
from sparktrain.training.callbacks.time_limit import TimeLimit


def test_training_goes_on_while_another_epoch_like_the_last_would_be_over_in_time():
    limit = TimeLimit(time.monotonic() + 60, "fail")
    assert not limit.over(1, 9, epoch_seconds=50) and limit.note is None


@pytest.mark.parametrize(
    "left, told", [(60, r"(60.0|59.\d) s were left, and an epoch takes 70.0 s"), (-5, r"it was over [56].\d s ago")]
)
def test_it_ends_before_an_epoch_that_would_be_over_it(left, told):
    limit = TimeLimit(time.monotonic() + left, "save")
    assert limit.over(1, 9, epoch_seconds=70)
    assert limit.note.startswith("training.time_limit ended training after epoch 1 of 9: ")
    with pytest.raises(TrainingError, match=told):
        TimeLimit(time.monotonic() + left, "fail").over(1, 9, epoch_seconds=70)
