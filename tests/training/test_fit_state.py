"""All that has state in a fit is in one list: a checkpoint has the state of each part, and a resumed fit is given it back."""

from __future__ import annotations

import copy
import importlib
import json
import pkgutil
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Finished

pytestmark = pytest.mark.real
WRITTEN = Path(__file__).with_name("written")
WITHIN = Checkpoint(epoch=1, step=2, size=2)


def stateful():
    """A model with state of every kind: moving statistics, random numbers, an optimizer's moments, metrics."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.Dense(3, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(1)),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.GlorotUniform(2)),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return model


def setting_rates():
    """Set the learning rate as training and each epoch begin, and after every step."""
    import keras

    class Setting(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.optimizer.learning_rate = 0.04

        def on_epoch_begin(self, epoch, logs=None):
            self.scale(0.5)

        def on_train_batch_end(self, batch, logs=None):
            self.scale(0.9)

        def scale(self, factor):
            self.model.optimizer.learning_rate = factor * float(self.model.optimizer.learning_rate.numpy())

    return [Setting()]


@pytest.fixture
def parts(in_process):
    return [in_process.rows(40), in_process.rows(25, start=1000)]


@pytest.fixture
def states(monkeypatch):
    """The states of all parts, by rank: as a checkpoint at WITHIN was written, and as the fit that resumed from it went on."""
    from sparktrain.training.state import checkpoints, stateful

    written, loaded = {}, {}
    own_save, own_load = checkpoints.Checkpoints.save, stateful.FitState.load

    def all_of(state):
        return {part.name: (part, copy.deepcopy(part.of.state_dict())) for part in state.parts}

    def save(self, epoch, step):
        if (epoch, step) == (WITHIN.epoch, WITHIN.step):
            written.setdefault(threading.current_thread().name, all_of(self.state))
        own_save(self, epoch, step)

    def load(self, moment):
        resumes = bool(self._states)
        own_load(self, moment)
        if resumes and moment is stateful.Moment.WITHIN_EPOCH:
            loaded[threading.current_thread().name] = all_of(self)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save)
    monkeypatch.setattr(stateful.FitState, "load", load)
    return written, loaded


def test_every_part_is_given_back_its_state_and_the_fit_ends_as_if_never_interrupted(in_process, tmp_path, parts, states):
    words = dict(epochs=2, keep_checkpoints=99, checkpoint_steps=2, average=2, warmup_epochs=0.5, save="best")
    whole = in_process.train(parts, stateful, output=tmp_path, callbacks=setting_rates, **words)
    assert all(isinstance(each, Finished) for each in whole.outcomes), whole.outcomes
    expected = whole.model
    rest = in_process.train(parts, stateful, output=tmp_path, callbacks=setting_rates, resume=WITHIN, **words)
    assert [each.history for each in rest.outcomes] == [each.history for each in whole.outcomes], rest.outcomes
    for one, other in zip(rest.model.variables, expected.variables, strict=True):
        if "metrics" not in one.path:
            np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    for one, other in zip(rest.model.optimizer.variables, expected.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)

    written, loaded = states
    assert {type(part.of) for part, _ in written["0"].values()} == _stateful_classes()
    for rank, name in ((each, name) for each in written for name in written[each]):
        begun = {"epoch": WITHIN.epoch, "step": WITHIN.step}
        before = begun if name == "batches" else written["0" if name == "facts" else rank][name][1]  # seconds are rank 0's
        np.testing.assert_equal(loaded[rank][name][1], before, err_msg=f"{name} of rank {rank}")


def _stateful_classes() -> set[type]:
    """All classes of the room that have a state to be saved."""
    from sparktrain import training
    from sparktrain.training.state.stateful import Stateful

    modules = [importlib.import_module(each.name) for each in pkgutil.walk_packages(training.__path__, "sparktrain.training.")]
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    of_room = {each for each in classes if each.__module__.startswith("sparktrain.training") and "load_state_dict" in vars(each)}
    return of_room - {Stateful}


def test_a_learning_rate_that_is_set_as_training_begins_is_not_set_again_by_a_further_attempt(in_process, tmp_path, parts):
    words = dict(epochs=3, keep_checkpoints=99)
    whole = in_process.train(parts[:1], stateful, output=tmp_path, callbacks=setting_rates, **words)
    expected = whole.model
    resume = Checkpoint(epoch=2, step=0, size=1)
    rest = in_process.train(parts[:1], stateful, output=tmp_path, callbacks=setting_rates, resume=resume, **words)
    assert rest.outcomes[0].history == whole.outcomes[0].history
    assert float(rest.model.optimizer.learning_rate.numpy()) == float(expected.optimizer.learning_rate.numpy()) < 0.01


@pytest.mark.parametrize("version", sorted(each.name for each in WRITTEN.iterdir()))
def test_a_checkpoint_that_an_earlier_version_wrote_is_resumed_from(in_process, tmp_path, parts, version):
    words = dict(epochs=3, keep_checkpoints=99, checkpoint_steps=2, save="best")
    whole = json.loads((WRITTEN / version / "history.json").read_text())  # of the fit that was not interrupted
    shutil.copytree(WRITTEN / version, tmp_path / "rest")
    rest = in_process.train(parts, stateful, output=tmp_path / "rest", resume=WITHIN, **words)
    assert rest.outcomes[0].notes == [], rest.outcomes
    for name, values in whole.items():
        np.testing.assert_allclose(rest.outcomes[0].history[name], values, rtol=1e-4, err_msg=name)
    assert rest.outcomes[0].best_epoch == 2

    shutil.copytree(WRITTEN / version, tmp_path / "fewer")
    fewer = in_process.train(parts[:1], stateful, output=tmp_path / "fewer", resume=Checkpoint(2, 0, 2), **words)
    [changed] = fewer.outcomes[0].notes
    assert changed.startswith("the training rows are others") and fewer.outcomes[0].epochs == 3
    np.testing.assert_allclose(fewer.outcomes[0].history["loss"][:2], whole["loss"][:2])


def test_a_checkpoint_of_a_later_version_is_refused(in_process, tmp_path, parts):
    """Not passed over for an earlier one: the run would lose what it has trained."""
    file = tmp_path / Checkpoint(2, 0, 2).path
    file.parent.mkdir()
    with np.load(WRITTEN / "first" / Checkpoint(2, 0, 2).path) as before:
        arrays = dict(before)
    meta = json.loads(arrays["meta"].tobytes())
    arrays["meta"] = np.frombuffer(json.dumps({**meta, "version": 99}).encode(), np.uint8)
    np.savez(file, **arrays)
    done = in_process.train(parts[:1], stateful, output=tmp_path, epochs=3, resume=Checkpoint(2, 0, 2))
    assert "was written by a later version of sparktrain" in str(done.outcomes[0])
