"""A worker of several devices: what each of them has of its own comes together, or is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sparktrain.interfaces.messages import Failure, Finished

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_statistics_are_the_devices_mean_and_random_numbers_each_ones_own(train, make_rows, user_module):
    import keras

    rows = make_rows(37)  # 33 to train on: the last batch has a row for one device
    run = train([rows], "each_device", engine="mirrored", devices=2, epochs=1)
    [worker] = run.workers
    assert isinstance(worker.outcome, Finished), f"{worker.outcome}\n{worker.text}"
    assert worker.outcome.history["rows"] == [33] and worker.outcome.history["val_rows"] == [4]
    kept = re.findall(r"device (\d) keeps (.*)", worker.text)
    assert {device for device, _ in kept} == {"0", "1"} and len({mask for _, mask in kept}) == len(kept) == 10

    means = np.zeros(2)
    for inputs, label, _ in run.shards[0].epoch(0):
        if len(label) > 1:
            halves = np.split(inputs["row"], [len(label) // 2])
            means = 0.9 * means + 0.1 * np.array([half.mean() for half in halves])
    model = keras.models.load_model(run.model, compile=False, custom_objects={"Drawing": user_module.Drawing})
    np.testing.assert_allclose(model.get_layer("normal").moving_mean.numpy(), means.mean(), rtol=1e-5)
    assert abs(means[0] - means[1]) > 0.1


def test_half_precision_is_not_summed_twice(train, make_rows):
    import keras

    args = {"policy": "mixed_float16", "rate": 0.1}
    weights = []
    for devices in (1, 2):
        run = train([make_rows(36)], "dense", args, engine="mirrored", devices=devices, epochs=1)  # 4 steps of 8
        assert isinstance(run.workers[0].outcome, Finished), run.workers[0].outcome
        weights.append(keras.models.load_model(run.model, compile=False).get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)


def test_accumulating_gradients_over_several_devices_is_refused_with_what_to_do(train, make_rows):
    run = train([make_rows(30)], "dense", {"accumulate": 2}, engine="mirrored", devices=2)
    told = run.workers[0].outcome
    assert isinstance(told, Failure) and "gradient_accumulation_steps" in told.message and "batch_size" in told.message
