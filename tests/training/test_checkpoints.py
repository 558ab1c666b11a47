"""Training goes on within an epoch as if it had never ended, whatever each worker and device has of its own."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrain.interfaces.checkpoints import Checkpoint, read
from sparktrain.interfaces.messages import Finished

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.mark.parametrize(
    "build, parts, words",
    [
        ("each_device", (37,), {"engine": "mirrored", "devices": 2}),
        ("normalized", (40, 25), {"engine": "horovod", "average": 2}),
    ],
)
def test_from_a_step_within_an_epoch_training_comes_to_the_same_end(train, make_rows, user_module, build, parts, words):
    import keras

    rows = [make_rows(count, start=1000 * part) for part, count in enumerate(parts)]
    words = {"epochs": 3, "keep_checkpoints": 99, "checkpoint_steps": 2, "callbacks": "scheduling", **words}
    whole = train(rows, build, **words)
    outcomes = [worker.outcome for worker in whole.workers]
    assert all(isinstance(each, Finished) for each in outcomes), outcomes
    within = Checkpoint(epoch=1, step=2, size=len(parts))
    assert within in read([file.name for file in (whole.output / "checkpoints").iterdir()])
    kept = whole.model.rename(whole.output / "whole.keras")

    rest = train(rows, build, output=whole.output, resume=within, **words)
    for one, other in zip(outcomes, [worker.outcome for worker in rest.workers], strict=True):
        assert isinstance(other, Finished), other
        assert other.history == one.history and (other.rows, other.steps, other.epochs) == (one.rows, one.steps, one.epochs)
    compiled = build == "normalized"  # the other's own metric can't be made again from its configuration
    both = [
        keras.models.load_model(file, compile=compiled, custom_objects={"Drawing": user_module.Drawing})
        for file in (kept, rest.model)
    ]
    for one, other in zip(*(model.get_weights() for model in both), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(*(model.optimizer.variables for model in both if compiled), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
