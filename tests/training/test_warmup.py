"""The learning rate times the workers, from a run to the next."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrain.interfaces.messages import Finished

pytestmark = pytest.mark.real


def dense():
    import keras

    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(0.05), "binary_crossentropy")
    return model


def watching():
    """The rate at each epoch's end, in the history."""
    import keras

    class Watching(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["rate"] = float(self.model.optimizer.learning_rate.numpy())

    return [Watching()]


def halving():
    import keras

    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch == 1 else rate)]


def test_a_nightly_run_that_goes_on_with_the_last_ones_model_trains_at_the_same_rate(in_process, tmp_path):
    parts = [in_process.rows(40), in_process.rows(40, start=1000)]
    source = in_process.by_value(dense)
    for night in range(3):
        done = in_process.train(parts, source, output=tmp_path / str(night), callbacks=watching, warmup_epochs=1.0)
        assert all(isinstance(each, Finished) for each in done.outcomes), done.outcomes
        assert 0.05 < done.outcomes[0].history["rate"][0] <= done.outcomes[0].history["rate"][1] == np.float32(0.1)
        assert float(done.model.optimizer.learning_rate.numpy()) == np.float32(0.05)
        source = in_process.Source(file=str(tmp_path / str(night) / "model.keras"))
    done = in_process.train(parts, source, output=tmp_path / "halved", callbacks=halving, epochs=3, warmup_epochs=0.0)
    np.testing.assert_allclose(float(done.model.optimizer.learning_rate.numpy()), 0.025, rtol=1e-6)


def scheduled():
    import keras

    model = dense()
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "binary_crossentropy")
    return model


def test_a_job_s_own_learning_rate_takes_the_place_of_the_model_s_and_is_the_one_that_is_scaled(in_process, tmp_path):
    parts = [in_process.rows(40), in_process.rows(40, start=1000)]
    done = in_process.train(parts[:1], in_process.by_value(dense), output=tmp_path / "one", callbacks=watching, learning_rate=0.2)
    assert done.outcomes[0].history["rate"] == pytest.approx([0.2, 0.2])
    assert float(done.model.optimizer.learning_rate.numpy()) == np.float32(0.2)
    source = in_process.by_value(dense)
    done = in_process.train(parts, source, output=tmp_path / "two", callbacks=watching, learning_rate=0.2, warmup_epochs=0.0)
    assert done.outcomes[0].history["rate"] == pytest.approx([0.4, 0.4])
    done = in_process.train(parts[:1], in_process.by_value(scheduled), output=tmp_path / "three", learning_rate=0.2)
    assert "training.learning_rate can't set the learning rate of SGD: it follows a schedule" in str(done.outcomes[0])
