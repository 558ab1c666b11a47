"""A function of the user's own, run by all workers."""

from __future__ import annotations

import re

import pytest

import sparktrain
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import ConfigError

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


def look(worker, factor):
    """What a worker sees of the rows and of the others."""
    import numpy
    import tensorflow as tf

    epochs = [[label.numpy().tolist() for _, label in worker.dataset(batch_size=32)] for _ in range(2)]
    dataset = worker.dataset(batch_size=32)
    passes = [[int(label) for _, labels in dataset for label in labels] for _ in range(2)]
    held_out = [int(label) for _, labels in worker.validation(batch_size=32) for label in labels]
    rows = len(passes[0])
    value = tf.constant([float(worker.rank), 1.0])

    @tf.function
    def averaged(value):
        return worker.average({"a": value, "b": None}, rows=rows)

    return {
        "passes": passes,
        "held_out": held_out,
        "batches": [len(each) for each in epochs],
        "anew": epochs[0] != epochs[1],
        "shape": next(iter(dataset))[0].shape.as_list()[1:],
        "mean": averaged(value)["a"].numpy(),
        "nothing": averaged(value)["b"],
        "plain_mean": float(worker.average(float(worker.rank))),
        "left_out": numpy.asarray(worker.average(float("nan") if worker.rank else 5.0, rows=1 - worker.rank)),
        "told": worker.broadcast(f"from {worker.rank}"),
        "gathered": worker.gather(worker.rank * factor),
        "rank": (worker.rank, worker.size),
    }


def test_every_worker_gets_its_rows_and_hears_of_the_others(frame):
    both = sparktrain.run(
        look, workers=2, data=frame, features=["x"], label="number", args={"factor": 10}, validation={"fraction": 0.1}
    )
    assert [each["rank"] for each in both] == [(0, 2), (1, 2)]
    first, second = ([row for each in both for row in each["passes"][epoch]] for epoch in range(2))
    held_out = [row for each in both for row in each["held_out"]]
    assert sorted(first + held_out) == sorted(second + held_out) == list(range(300)) and first != second
    counts = [len(each["passes"][0]) for each in both]
    for each in both:
        assert each["anew"] and each["batches"] == both[0]["batches"] and each["shape"] == [4]
        assert each["mean"] == pytest.approx([counts[1] / sum(counts), 1.0]) and each["nothing"] is None
        assert each["plain_mean"] == 0.5 and each["left_out"] == 5.0
        assert each["told"] == "from 0" and each["gathered"] == [0, 10]


def without_rows(worker):
    if worker.size == 1:
        worker.dataset(batch_size=8)
    return worker.rank


def test_a_function_needs_no_rows_and_its_own_failure_is_told(spark):
    with pytest.raises(AttemptFailed, match="was called without `data`") as failed:
        sparktrain.run(without_rows, workers=1, engine="single")
    assert failed.value.failure.rank == 0
    with pytest.raises(ConfigError, match="training.workers"):
        sparktrain.run(without_rows, workers=0)
    with pytest.raises(ConfigError, match="data.label.*gives a tuple of them"):
        sparktrain.run(without_rows, data=spark.range(3), label={"priority": "id"})


def fit(worker):
    """Keras's own fit, of a model of several outputs, with a callback that one worker alone would stop by."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = worker.rank == 1 and epoch == 1

    spread = worker.adapt(keras.layers.Normalization(), worker.dataset(16))
    inputs = keras.Input((4,))
    outputs = {"late": keras.layers.Dense(1, activation="sigmoid")(spread(inputs)), "count": keras.layers.Dense(1)(inputs)}
    model = keras.Model(inputs, outputs)
    model.compile("adam", {"late": "binary_crossentropy", "count": "mse"}, metrics={"late": "AUC"})
    worker.distribute(model)
    history = model.fit(worker.dataset(16).prefetch(1), validation_data=worker.validation(16), epochs=5, callbacks=[Stop()])
    evaluated = model.evaluate(worker.validation(16), return_dict=True, verbose=0)
    for inputs, labels in worker.dataset(16):
        told = model.train_on_batch(inputs, dict(zip(outputs, labels)))
    return history.history, model, evaluated, told


def test_keras_s_fit_of_a_distributed_model_is_that_of_all_workers(frame):
    (one, first, evaluated, told), (other, second, *rest) = sparktrain.run(
        fit, workers=2, data=frame, label=["y", "number"], validation={"fraction": 0.2}
    )
    assert one == other and len(one["loss"]) == 2 and {"loss", "late_AUC", "val_loss", "val_late_AUC"} <= set(one)
    assert [evaluated, told] == rest and evaluated["loss"] == pytest.approx(one["val_loss"][-1])
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        assert (mine == theirs).all()


def calls_alone(worker):
    """Rank 1 does something else for ever, and rank 0 waits for it."""
    import time

    worker.average(1.0)
    if worker.rank == 1:
        time.sleep(600)
    worker.average(1.0)


@pytest.mark.failures
def test_a_collective_call_that_one_worker_never_makes_ends_the_run_with_who_that_is(spark, note_failure):
    with pytest.raises(AttemptFailed) as caught:
        sparktrain.run(calls_alone, workers=2, max_failures=0, cluster={"stall_timeout": 6})
    told = r"rank 1 on \S+: Stalled: 1 worker\(s\) have waited for \d+ s in a collective call.*cluster.stall_timeout is 6\b"
    assert re.search(told, str(caught.value), re.DOTALL), str(caught.value)
    note_failure(
        "A collective call that one worker never makes, in a loop of one's own",
        "ends with its rank and host after `cluster.stall_timeout`",
    )
