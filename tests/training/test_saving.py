"""What training leaves on the storage: the model whatever the storage does meanwhile, and what a further attempt goes on from."""

from __future__ import annotations

import hashlib
import re
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparktrain.interfaces.checkpoints import Checkpoint, read
from sparktrain.interfaces.messages import EpochEnd, Finished, Phase, Progress
from sparktrain.storage import NotFound, StorageError, open_folder, retries
from sparktrain.worker import failure

pytestmark = pytest.mark.real


def dense(rate=0.1, ema=False):
    import keras

    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(rate, use_ema=ema), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    return model


class Away(MemoryFileSystem):
    """A store that breaks the next connections, as many as it is told."""

    protocol = "away"
    store: dict = {}
    pseudo_dirs = [""]
    broken = 0

    def put_file(self, *given, **words):
        if Away.broken:
            Away.broken -= 1
            raise ConnectionError("nobody answers")
        return super().put_file(*given, **words)


@pytest.fixture
def away(monkeypatch):
    fsspec.register_implementation("away", Away, clobber=True)
    waited: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=waited.append))
    Away.broken = 0
    yield waited
    Away.store.clear()


@pytest.mark.failures
def test_a_storage_that_is_away_for_minutes_as_the_model_is_saved_costs_nothing(away, in_process, note_failure):
    def leave(rank, event):
        if event == Phase("save"):
            Away.broken = len(retries.KNOWN) + 5  # more than a checkpoint waits for

    done = in_process.train([in_process.rows(40)], dense, output="away://models/run", on_event=leave).outcomes[0]
    assert isinstance(done, Finished) and Away.broken == 0 and sum(away) > 100
    model = open_folder("away://models/run").read_bytes("model.keras")
    assert (done.model_bytes, done.model_sha256) == (len(model), hashlib.sha256(model).hexdigest())
    note_failure("The storage away while the model is saved", "it is waited for, up to five minutes; training goes on to its end")


@pytest.mark.failures
def test_a_storage_that_stays_away_is_worth_another_attempt_and_a_missing_file_is_not(away, in_process, note_failure):
    def leave(rank, event):
        if event == Phase("save"):
            Away.broken = 10_000

    error = in_process.train([in_process.rows(40)], dense, output="away://models/run", on_event=leave).outcomes[0]
    assert isinstance(error, StorageError) and sum(away) > 240
    assert failure(error, None).cause == "lost" and "nobody answers" in failure(error, None).message
    load = in_process.Source(file="away://models/none/model.keras")
    error = in_process.train([in_process.rows(40)], load, output="away://models/run").outcomes[0]
    assert isinstance(error, NotFound) and failure(error, None).cause == "code"
    note_failure(
        "The storage away for longer than that", "the attempt ends; the next one, as `max_failures` says, has only to save"
    )


@pytest.mark.parametrize(
    "size, words, epochs",
    [
        (1, {"save": "best"}, 4),
        (2, {"early_stopping": {"monitor": "auc", "mode": "min", "patience": 1, "restore_best_weights": True}}, 2),
        (1, {"ema": True}, 3),
    ],
)
def test_an_attempt_after_the_last_epoch_has_only_to_save(in_process, tmp_path, size, words, epochs):
    import keras

    words = dict(words)
    build = in_process.by_value(dense, ema=words.pop("ema", False))
    words |= {"epochs": max(epochs, 3), "keep_checkpoints": 9}
    parts = [in_process.rows(40, start=1000 * part) for part in range(size)]
    whole = in_process.train(parts, build, output=tmp_path, **words)
    (tmp_path / "model.keras").rename(tmp_path / "whole.keras")
    kept = read([file.name for file in (tmp_path / "checkpoints").iterdir()])
    assert kept[-1] == Checkpoint(epochs, 0, size) == Checkpoint(whole.outcomes[0].epochs, 0, size)

    again = in_process.train(parts, build, output=tmp_path, resume=kept[-1], **words)
    for one, other in zip(whole.outcomes, again.outcomes, strict=True):
        for name in ("history", "epochs", "steps", "rows", "stopped_early", "best_epoch", "notes"):
            assert getattr(one, name) == getattr(other, name), name
    assert not any(isinstance(event, EpochEnd) for events in again.events for event in events)
    one, other = keras.models.load_model(tmp_path / "whole.keras"), again.model
    for before, after in zip([*one.weights, *one.optimizer.variables], [*other.weights, *other.optimizer.variables], strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), before.path)


def test_from_within_an_epoch_an_optimizer_that_averages_weights_goes_on_from_the_weights_themselves(in_process, tmp_path):
    build = in_process.by_value(dense, ema=True)
    words = {"epochs": 3, "keep_checkpoints": 99, "checkpoint_steps": 2}
    parts = [in_process.rows(40)]
    whole = in_process.train(parts, build, output=tmp_path, **words)
    before = whole.model.get_weights()
    for within in (Checkpoint(1, 2, 1), Checkpoint(2, 2, 1)):
        rest = in_process.train(parts, build, output=tmp_path, resume=within, **words)
        assert rest.outcomes[0].history == whole.outcomes[0].history
        for one, other in zip(before, rest.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def holding(fails):
    """A model with a layer, inside of another one, that has no configuration; `fails` says whether its saving fails already."""
    import keras

    class Given(keras.layers.Layer):
        def __init__(self, given):
            super().__init__()
            self.given = given
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

    class Fussy(Given):
        def get_config(self):
            if self.given:
                raise ValueError("no configuration\n\nand much more")
            return {"given": self.given}

    layer = Given(object()) if fails else Fussy([])
    inner = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)], name="inner")
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, inner(inputs))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("limit, words", [(1 << 20, {}), (0, {}), (1 << 20, {"rehearsal": True})])
def test_a_model_that_can_not_be_saved_is_refused_before_a_step_with_its_class(in_process, tmp_path, monkeypatch, limit, words):
    from sparktrain.training import saving

    monkeypatch.setattr(saving, "_SMALL", limit)
    source = in_process.by_value(holding, fails=True)
    done = in_process.train([in_process.rows(40)] * 2, source, output=tmp_path, **words)
    error = done.outcomes[0]
    assert re.match(
        r"the model can't be saved, so .* lost: NotImplementedError: Object Given was created by .*non-serializable.*"
        r"Let Given have a get_config\(\).*register_keras_serializable",
        str(error),
    ), error
    assert failure(error, None).cause == "code" and not any(isinstance(event, Progress) for event in done.events[0])


def test_where_saving_fails_after_training_the_weights_are_kept(in_process, tmp_path):
    expected = tmp_path / "expected.weights.h5"

    def spoiling():
        import keras

        class Late(keras.callbacks.Callback):
            def on_train_end(self, logs=None):
                [layer] = [each for each in self.model._flatten_layers() if type(each).__name__ == "Fussy"]
                layer.given.append("trained")
                self.model.save_weights(expected)

        return [Late()]

    done = in_process.train([in_process.rows(40)], in_process.by_value(holding, fails=False), output=tmp_path, callbacks=spoiling)
    assert re.match(
        rf"the trained model can't be saved: ValueError: no configuration. Its weights are kept in .*{tmp_path}/"
        r"model.weights.h5: .*load_weights.*Let Fussy have",
        str(done.outcomes[0]),
    ), done.outcomes[0]
    both = [holding(fails=False) for _ in range(2)]
    for model, file in zip(both, (expected, tmp_path / "model.weights.h5")):
        model.load_weights(file)
    for one, other in zip(*(model.get_weights() for model in both), strict=True):
        np.testing.assert_array_equal(one, other)
