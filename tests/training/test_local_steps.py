"""Weights averaged after a number of local steps are the means, by rows, of what each worker would have trained alone."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from sparktrain.interfaces.messages import Finished

pytestmark = [pytest.mark.real, pytest.mark.slow]
TOLERANCE = 1e-6


def by_hand(shards, builder, args, epochs, every):
    """One plain Keras model a worker, in this process, brought together by NumPy."""
    import keras

    keras.utils.set_random_seed(7)
    models = [builder(**args) for _ in shards]
    for model in models:
        model.optimizer.build(model.trainable_variables)
        model.set_weights(models[0].get_weights())
    steps = shards[0].schedule.steps
    seen = np.zeros(len(shards))
    for epoch in range(epochs):
        for step, batches in enumerate(zip(*(shard.epoch(epoch) for shard in shards)), start=1):
            for worker, (model, (inputs, label, _)) in enumerate(zip(models, batches)):
                if len(label):
                    model.train_on_batch(inputs, label)
                seen[worker] += len(label)
            if step == steps or (every is not None and step % every == 0):
                for alike in zip(*(floats(model) for model in models)):
                    mean = np.average([variable.numpy() for variable in alike], axis=0, weights=seen)
                    for variable in alike:
                        variable.assign(mean)
                seen[:] = 0
    return models[0]


def floats(model):
    slots = [variable for variable in model.optimizer.variables if variable.name not in ("iteration", "learning_rate")]
    return [*model.trainable_variables, *slots]


@pytest.mark.parametrize(
    "counts, every, args, devices",
    [
        ([50, 45], 3, dict(optimizer="adam", rate=0.01, steps_per_execution=2), 1),
        ([60, 5, 0], "epoch", dict(optimizer="sgd", rate=0.5), 1),
        ([61, 5], "epoch", dict(optimizer="sgd", rate=0.5), 2),  # some steps have a row for one of a worker's devices
    ],
)
def test_workers_average_their_weights_by_rows(train, make_rows, user_module, counts, every, args, devices):
    parts = [make_rows(count, start=1000 * part) for part, count in enumerate(counts)]
    run = train(parts, "dense", args, epochs=2, average=every, callbacks="everywhere", devices=devices)
    told = [worker.outcome for worker in run.workers]
    assert all(isinstance(each, Finished) for each in told), [(each.outcome, each.text) for each in run.workers]

    steps = None if every == "epoch" else every
    alone = {**args, "steps_per_execution": 1}
    expected = by_hand(run.shards, user_module.dense, alone, 2, steps).get_weights()
    import keras

    got = keras.models.load_model(run.model).get_weights()
    assert max(np.abs(one - other).max() for one, other in zip(got, expected, strict=True)) < TOLERANCE
    # Validated is the one model that all have at an epoch's end
    assert told[0].history["val_auc"] == told[-1].history["val_auc"]
    last = zlib.crc32(b"".join(value.tobytes() for value in got))
    assert all("epoch=1 " in worker.text and f"weights={last}" in worker.text for worker in run.workers)
