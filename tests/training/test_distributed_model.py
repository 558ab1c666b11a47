"""A Keras model that the workers of an own loop train together: what its methods make of them is that of one process."""

from __future__ import annotations

import re

import cloudpickle
import keras
import numpy as np
import pytest
import tensorflow as tf

from sparktrain.interfaces.messages import Finished
from sparktrain.training.errors import TrainingError

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def loop(in_process, tmp_path):
    """Runs a function in workers of so many rows each; what each returned, or the errors that were expected."""
    from sparktrain.training import own_loop

    def call(function, *counts, fails=False):
        parts = [in_process.rows(count, start=1000 * part) for part, count in enumerate(counts)]
        run = in_process.train(parts, function, output=tmp_path, trainer=own_loop.run, own_loop=True)
        if fails:
            errors = [str(each) for each in run.outcomes if isinstance(each, TrainingError)]
            assert errors, run.outcomes
            return errors
        assert all(isinstance(each, Finished) for each in run.outcomes), run.outcomes
        return [cloudpickle.loads((tmp_path / f"returned-{rank}.pickle").read_bytes()) for rank in range(len(counts))]

    return call


def dense(metrics=("AUC", "accuracy")):
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dense(8, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(3)),
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.GlorotUniform(4))])
    model.compile(keras.optimizers.SGD(0.3, momentum=0.9), "binary_crossentropy", metrics=list(metrics))
    return model


def recording(dataset, batches):
    """The dataset, whose batches go into a list as they are read."""
    def record(x, y):
        batches.append((x, y))
        return x, y

    def through(x, y):
        both = tf.numpy_function(record, [x, y], [x.dtype, y.dtype])
        for each, was in zip(both, (x, y)):
            each.set_shape(was.shape)
        return tuple(both)

    return dataset.map(through)


def of_all(worker, batches):
    """All workers' batches, step by step."""
    return [tuple(np.concatenate(parts) for parts in zip(*step)) for step in zip(*worker.gather(batches), strict=True)]


def plain(batches):
    """What one process makes of the batches, and what it tells of each."""
    model = dense()
    told = [model.train_on_batch(x, y, return_dict=True) for x, y in batches]
    return model, told


def apart(model, other):
    return max(float(np.abs(mine - theirs).max()) for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True))


def fitting(worker):
    """Fits on what is made of the worker's dataset, and on data of its own; how far from one process each is."""
    def scaled(x, y):
        return x * 2.0, y

    found = {}
    batches = []
    model = worker.distribute(dense())
    history = model.fit(recording(worker.dataset(8).map(scaled), batches).prefetch(1), epochs=2,
                        validation_data=worker.validation(4).map(scaled)).history
    steps = of_all(worker, batches)
    one, _ = plain(steps)
    found["mapped"] = apart(model, one)
    held_out = of_all(worker, [next(iter(worker.validation(100).map(scaled)))])
    found["validation"] = history["val_loss"][-1] - one.evaluate(*held_out[0], verbose=0, return_dict=True)["loss"]
    found["evaluate"] = np.subtract(model.evaluate(worker.validation(4).map(scaled), verbose=0),
                                    one.evaluate(*held_out[0], verbose=0)).tolist()
    found["predicted"] = len(model.predict(worker.validation(4), verbose=0))

    batches = []
    model = worker.distribute(dense())
    # Repeated, and read ahead of: the batches that were read last may be of no step
    model.fit(recording(worker.dataset(8), batches).cache().repeat(), steps_per_epoch=5, epochs=3, initial_epoch=1)
    steps = of_all(worker, batches)
    found["repeated"] = apart(model, plain((steps * 10)[:10])[0])
    found["empty"] = sum(not len(x) for x, _ in batches)

    x, y = (np.concatenate(parts) for parts in zip(*worker.dataset(8)))
    model = worker.distribute(dense())
    rows = len(x) - len(x) % 2
    mine = [(x[:rows // 2], y[:rows // 2]), (x[rows // 2:rows], y[rows // 2:rows])]
    model.fit(x[:rows], y[:rows], rows // 2, shuffle=False)
    steps = of_all(worker, mine)
    one, told = plain(steps)
    found["arrays"] = apart(model, one)

    model = worker.distribute(dense())
    logs = [model.train_on_batch(*batch, return_dict=True) for batch in mine]
    found["on batch"] = apart(model, one)
    found["logs"] = [np.subtract([each[name] for name in expected], [*expected.values()]).tolist()
                     for each, expected in zip(logs, told)]
    found["tested"] = np.subtract(model.test_on_batch(*mine[0]), one.test_on_batch(*steps[0])).tolist()
    empty = (x[:0], y[:0])
    first = [*mine, mine[0] if worker.rank == 0 else empty]   # a step in which rank 1 has no row
    model.train_on_batch(*first[-1])
    one.train_on_batch(*of_all(worker, [first[-1]])[0])
    found["without rows"] = apart(model, one)
    return found


def test_what_the_workers_make_of_data_of_any_kind_is_what_one_process_makes_of_all_of_it(loop):
    both = loop(fitting, 60, 4)
    for found in both:
        assert found.pop("predicted") and found.pop("empty") == (0 if found is both[0] else 4)
        assert all(np.max(np.abs(far)) < 2e-5 for far in found.values()), found
