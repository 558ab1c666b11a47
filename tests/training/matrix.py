"""Models as users have them, each trained by uneven workers, broken off and gone on with, and by one plain Keras process.

Run by test_matrix.py in a process of its own, as its workers are threads that wait for each other inside TensorFlow.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, WITHIN = 2, 2  # of a run, and the step of its second epoch that it is broken off after


@dataclass(frozen=True)
class Case:
    """A model, and what holds for it."""

    build: Callable[[], Any]
    rows: tuple[int, ...] = (30, 21)  # of each worker
    atol: float | None = 2e-6  # of a weight, against plain Keras; None: it trains otherwise there, as the docs say
    callbacks: Callable[[], list[Any]] | None = None
    fit: dict[str, Any] = field(default_factory=dict)
    labels: Callable[[Any], Any] = lambda labels: labels


def dense(optimizer, metrics=(), wrap=lambda layer: layer):
    import keras

    x = keras.Input((4,), name="x")
    hidden = wrap(keras.layers.Dense(6, activation="tanh"))(x)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(hidden))
    model.compile(optimizer, "binary_crossentropy", metrics=[*metrics])
    return model


def moving_average():
    import keras

    return dense(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9), [keras.metrics.AUC(name="auc")])


def spectral():
    import keras

    return dense(keras.optimizers.SGD(0.1, momentum=0.9), wrap=keras.layers.SpectralNormalization)


def scheduled():
    import keras

    return dense(keras.optimizers.Adam(0.02))


def scheduling():
    """One callback of every worker, and one of rank 0 alone, that set the rate."""
    import keras

    class Raising(keras.callbacks.Callback):
        only_rank_0 = True

        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 3 * float(self.model.optimizer.learning_rate)

    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate), Raising()]


def half(policy):
    import keras

    keras.config.set_dtype_policy(policy)


def brain_float():
    half("bfloat16")
    return dense("adam")


def accumulated():
    import keras

    return dense(keras.optimizers.Adam(0.02, gradient_accumulation_steps=2, clipnorm=0.1))


def _ids(x):
    """Four small numbers of a row, with repetitions."""
    import keras

    return keras.ops.cast(keras.ops.clip(keras.ops.abs(x) * 4, 0, 7), "int32")


def embedded(optimizer):
    import keras

    x = keras.Input((4,), name="x")
    table = keras.layers.Embedding(8, 3, name="table")(_ids(x))
    tall = keras.layers.Embedding(5000, 2, name="tall")(_ids(x) * 500)
    hidden = keras.layers.Concatenate()([keras.layers.Flatten()(table), keras.layers.Flatten()(tall)])
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(hidden))
    model.compile(optimizer, "binary_crossentropy")
    return model


def embeddings():
    import keras

    return embedded(keras.optimizers.Adam(0.02, clipnorm=0.05))


def embeddings_scaled():
    import keras

    half("mixed_float16")
    return embedded(keras.optimizers.Adam(0.02))


def masked():
    import keras

    x = keras.Input((4,), name="x")
    hidden = keras.layers.GlobalAveragePooling1D()(
        keras.layers.Embedding(9, 3, mask_zero=True)(_ids(x) + np.array([1, 0, 0, 0]))
    )  # no row is all masked
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.RMSprop(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


def several_optimizers():
    """An optimizer for each variable, each kept in another way, and a training step that uses them."""
    import keras
    import tensorflow as tf

    class Several(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            keepers = [self.first, self.others[0], self.kept.by_name["third"], self.backbone.optimizer]
            for optimizer, *pair in zip(keepers, gradients, self.trainable_variables):
                optimizer.apply_gradients([pair])
            return {"loss": loss}

    class Kept:
        def __init__(self, **by_name):
            self.by_name = by_name

    x = keras.Input((4,), name="x")
    backbone = keras.Model(x, keras.layers.Dense(6, activation="tanh")(x))
    model = Several(x, keras.layers.Dense(1, activation="sigmoid")(backbone(x)))
    backbone.compile(keras.optimizers.Adam(0.02))
    model.compile("sgd", "binary_crossentropy")
    model.backbone, model.first = backbone, keras.optimizers.SGD(0.3, momentum=0.9)
    model.others, model.kept = [keras.optimizers.Adam(0.02)], Kept(third=keras.optimizers.RMSprop(0.01))
    return model


def by_class():
    """A metric of a number for each class, of labels of one."""
    import keras

    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    return model


def ignoring():
    import keras

    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    return model


def local_half():
    half("mixed_float16")
    return dense("adam")


CASES = {
    "moving averages of weights": Case(moving_average),
    "SpectralNormalization, a worker of fewer rows than steps": Case(spectral, rows=(30, 3, 18)),
    "callbacks that set rates, one of rank 0 alone": Case(scheduled, rows=(30, 3, 18), callbacks=scheduling),
    "bfloat16": Case(brain_float, atol=0.05),
    "gradients accumulated and clipped": Case(accumulated, rows=(30, 3)),
    "embeddings, a worker of fewer rows than steps": Case(embeddings, rows=(30, 3, 18)),
    "embeddings in half precision with loss scaling": Case(embeddings_scaled, atol=5e-3),
    "masked sequences": Case(masked),
    "optimizers in attributes, lists, dicts and sub-models": Case(several_optimizers, rows=(30, 3)),
    "a metric of each class": Case(by_class, labels=lambda labels: np.eye(2, dtype=np.float32)[labels]),
    # Each worker's loss is the mean over the rows that it doesn't ignore
    "a loss that ignores a class": Case(
        ignoring, atol=None, labels=lambda labels: np.where(np.arange(len(labels)) % 5, labels, -1)
    ),
    "weights averaged, half precision with loss scaling": Case(local_half, rows=(30, 3), atol=None, fit={"average": 2}),
}


BUILT: list[Any] = []  # the models of a training, as they end


def build(case):
    """What the workers, threads of this process, build. Not from Keras's seed, which is the process's."""
    model = CASES[case].build()
    random = np.random.default_rng(7)
    model.set_weights([random.normal(scale=0.5, size=each.shape).astype(each.dtype) for each in model.get_weights()])
    BUILT.append(model)
    return model


def run(name: str, folder: Path) -> None:
    """Train a case's model in all ways.
    Raises:
        AssertionError: they don't come to the same.
    """
    os.environ["TF_NUM_INTEROP_THREADS"] = "12"  # before TensorFlow begins: each worker may wait in some of them
    sys.path.insert(0, str(Path(__file__).parent))
    importlib.import_module("matrix")._run(name, folder)  # by its name, as the workers find it


def _run(name, folder):
    import in_process

    from sparktrain.interfaces.checkpoints import Checkpoint
    from sparktrain.interfaces.messages import Finished
    from sparktrain.interfaces.training_spec import Source

    case = CASES[name]
    parts = [in_process.rows(count, start=1000 * part) for part, count in enumerate(case.rows)]
    for part in parts:
        part["y"] = case.labels(part["y"])

    def train(**words):
        BUILT.clear()
        done = in_process.train(
            parts,
            Source(function="matrix:build", args={"case": name}),
            output=folder,
            epochs=EPOCHS,
            keep_checkpoints=99,
            checkpoint_steps=WITHIN,
            callbacks=case.callbacks,
            **case.fit,
            **words,
        )
        errors = [outcome for outcome in done.outcomes if not isinstance(outcome, Finished)]
        if errors:  # one that another worker's end caused is the last to tell of it
            raise min(
                errors, key=lambda error: "BrokenBarrierError" in str(error) or type(error).__name__ == "BrokenBarrierError"
            )
        first, *others = BUILT
        for other in others:
            _same(_state(first), _state(other))
        return done, _state(first), first

    whole, state, model = train()
    for outcome in whole.outcomes:
        assert outcome.history == whole.outcomes[0].history
        assert not outcome.notes
    if case.atol is not None:
        plain, history = _plain(case, name, in_process.shards_of(parts, (8,) * len(parts), folder / "segments"))
        _same(_values(plain.weights), _values(model.weights), case.atol)
        told = whole.outcomes[0].history
        for metric, values in history.items():
            if np.ndim(values) == 2:  # of each class
                _same(values, np.transpose([told[f"{metric}_{place}"] for place in range(np.shape(values)[1])]), 20 * case.atol)
            else:
                _same([values], [told[metric]], 20 * case.atol)
    rest, again, _ = train(resume=Checkpoint(1, WITHIN, len(parts)))
    assert [each.history for each in rest.outcomes] == [each.history for each in whole.outcomes]
    _same(state, again)


def _plain(case, name, shards):
    """Plain Keras in one process: the same batches in the same order, all workers' rows of a step in one batch."""
    import tensorflow as tf

    def batches():
        for epoch in range(EPOCHS):
            for pieces in zip(*(shard.epoch(epoch) for shard in shards)):
                yield np.concatenate([piece[0]["x"] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])

    kept = [
        (np.array(inputs["x"]), np.array(label))  # copies, as a shard gives up its memory
        for shard in shards
        if shard.validation_rows
        for inputs, label, _ in shard.validation(1000)
    ]
    spec = tuple(tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in kept[0])
    model = build(name)
    model.jit_compile = False
    history = model.fit(
        tf.data.Dataset.from_generator(batches, output_signature=spec),
        epochs=EPOCHS,
        steps_per_epoch=shards[0].schedule.steps,
        validation_data=tuple(map(np.concatenate, zip(*kept))),
        validation_batch_size=1000,
        callbacks=case.callbacks and case.callbacks(),
        shuffle=False,
        verbose=0,
    )
    return model, history.history


def _values(variables):
    return [np.asarray(variable.numpy(), "float32") for variable in variables if variable.name != "seed_generator_state"]


def _state(model):
    from sparktrain.models.optimizers import optimizer_variables

    return _values([*model.weights, *optimizer_variables(model)])


def _same(one, other, atol=0.0):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


if __name__ == "a test's process":
    _name, _folder, _told = GIVEN  # noqa: F821  run_path's
    import traceback

    try:
        run(_name, Path(_folder))
        _told.send(None)
    except BaseException:
        _told.send(traceback.format_exc())
