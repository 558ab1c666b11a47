"""Metrics of every shape and kind, over one worker and over several: those of plain Keras on all rows, or named."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrain.interfaces.messages import EpochEnd, Finished

pytestmark = pytest.mark.real


def rows_of_three(in_process, counts):
    """Rows of three classes, one-hot, as a vector for each row."""
    parts = [in_process.rows(count, start=1000 * part, validation=4) for part, count in enumerate(counts)]
    for part in parts:
        part["y"] = np.eye(3, dtype=np.float32)[np.abs(part["x"]).argmax(axis=1) % 3]
    return parts


def classifying(average=None):
    import keras

    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(3)),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.0),
        "categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average=average), keras.metrics.F1Score(average="macro", name="macro")],
    )
    return model


@pytest.mark.parametrize("counts", [(60,), (50, 22)])
def test_a_metric_of_a_number_for_each_class_is_one_for_each_by_its_number(in_process, tmp_path, counts):
    parts = rows_of_three(in_process, counts)
    words = {"early_stopping": {"monitor": "val_f1_score_1", "mode": "max", "patience": 1}, "epochs": 3}
    done = in_process.train(parts, classifying, output=tmp_path, **words)
    for outcome in done.outcomes:
        assert isinstance(outcome, Finished), outcome
        assert outcome.epochs == 2 and not outcome.notes, "the rate is 0, so the first epoch is the best"
    history = done.outcomes[0].history
    both = {name: np.concatenate([part[name] for part in parts]) for name in ("x", "y", "validation")}
    for prefix, taken in (("", ~both["validation"]), ("val_", both["validation"])):
        expected = classifying().evaluate(both["x"][taken], both["y"][taken], verbose=0, return_dict=True)
        assert np.shape(expected["f1_score"]) == (3,)
        for number, value in enumerate(np.asarray(expected["f1_score"])):
            np.testing.assert_allclose(history[f"{prefix}f1_score_{number}"], [float(value)] * 2, rtol=1e-5)
        np.testing.assert_allclose(history[f"{prefix}macro"], [expected["macro"]] * 2, rtol=1e-5)
    assert {name.removeprefix("val_") for name in history} == {"loss", "macro", "f1_score_0", "f1_score_1", "f1_score_2"}
    ends = [event.logs for event in done.events[0] if isinstance(event, EpochEnd)]
    assert ends[1] == {name: values[1] for name, values in history.items()}
    assert {_tag(event) for event in _events(tmp_path / "logs/train")} >= {"epoch_f1_score_0", "epoch_f1_score_2"}


def _events(folder):
    import tensorflow as tf

    for file in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            yield from tf.compat.v1.Event.FromString(record.numpy()).summary.value


def _tag(value):
    return value.tag


def owning(kinds):
    """A model of metrics of the user's own, whose states are made as Keras's guide shows it: by add_weight."""
    import keras

    class Own(keras.metrics.Metric):
        def __init__(self, name):
            super().__init__(name=name)
            self.value = self.add_weight(shape=(), initializer="zeros", name="value")
            self.count = self.add_weight(shape=(), initializer="zeros", name="count")

        def update_state(self, y_true, y_pred, sample_weight=None):
            error = keras.ops.abs(keras.ops.reshape(keras.ops.cast(y_true, "float32"), keras.ops.shape(y_pred)) - y_pred)
            self.count.assign_add(keras.ops.cast(keras.ops.size(error), "float32"))
            self.add(error)

        def result(self):
            return self.value

    class Worst(Own):
        def add(self, error):
            self.value.assign(keras.ops.maximum(self.value, keras.ops.max(error)))

    class Within(Own):
        """Sums, and a result that is made of them."""

        def add(self, error):
            self.value.assign_add(keras.ops.sum(keras.ops.cast(error < 0.5, "float32")))

        def result(self):
            return self.value / self.count

    class Running(Own):
        def add(self, error):
            self.value.assign(self.value + (keras.ops.mean(error) - self.value) * 0.1)

        def result(self):
            return {"fast": self.value, "slow": 2 * self.value}

    class Reset(Within):
        """Counts from one on."""

        def reset_state(self):
            self.value.assign(1.0)
            self.count.assign(0.0)

    class Mean(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            return super().update_state(y_pred)

    own = {each.__name__: each for each in (Worst, Within, Running, Reset, Mean)}
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.GlorotUniform(3)),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy", metrics=[own[kind](name=kind.lower()) for kind in kinds])
    return model


def test_a_metric_of_ones_own_is_summed_where_it_behaves_as_a_sum_and_else_averaged_and_named(in_process, tmp_path):
    kinds = ("Worst", "Within", "Running", "Reset", "Mean")
    build = in_process.by_value(owning, kinds=kinds)
    parts = [in_process.rows(count, start=1000 * part) for part, count in enumerate((80, 50))]
    several = in_process.train(parts, build, output=tmp_path, epochs=1).outcomes[0]
    assert isinstance(several, Finished), several
    [note] = several.notes
    assert note.endswith("for their states are no sums: fast, reset, slow, worst")
    alone = in_process.train(
        [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}],
        build,
        output=tmp_path,
        epochs=1,
        batch_size=16,
    ).outcomes[0]
    for name in ("within", "mean", "val_within", "val_mean", "loss"):
        np.testing.assert_allclose(several.history[name], alone.history[name], rtol=1e-5)
    assert 0 < several.history["worst"][0] <= 1 and 0 < several.history["val_worst"][0] <= 1


def test_the_workers_mean_of_whole_numbers_is_no_whole_number(in_process, tmp_path):
    import tensorflow as tf

    from sparktrain.training import own_loop

    def averaging(worker):
        own = worker.rank
        values = {
            "one": 1 + own,
            "large": 2**40 + own,
            "array": np.array([own, 2**31 + 1]),
            "flag": own == 1,
            "half": own / 2,
            "none": None,
            "tensor": tf.constant([2 * own, 3]),
        }
        return {name: value if value is None else value.numpy().tolist() for name, value in worker.average(values).items()}

    source = in_process.by_value(averaging)
    done = in_process.train(
        [in_process.rows(8), in_process.rows(8)], source, output=tmp_path, trainer=own_loop.run, own_loop=True
    )
    assert all(isinstance(each, Finished) for each in done.outcomes), done.outcomes
    import cloudpickle

    for rank in (0, 1):
        assert cloudpickle.loads((tmp_path / f"returned-{rank}.pickle").read_bytes()) == {
            "one": 1.5,
            "large": 2**40 + 0.5,
            "array": [0.5, 2**31 + 1],
            "flag": 0.5,
            "half": 0.25,
            "none": None,
            "tensor": [1.0, 3.0],
        }
