"""Workers that average by rows do what one plain Keras process does on the same batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparktrain.interfaces.messages import EpochEnd, Finished, Phase
from sparktrain.interfaces.training_spec import Source

pytestmark = [pytest.mark.real, pytest.mark.slow]
TOLERANCE = 1e-6


@pytest.fixture
def plain(user_module, seed):
    """Plain Keras, one process: the same batches in the same order, all parts' rows of a step in one batch."""
    import keras
    import tensorflow as tf

    def fit(shards, build, args, epochs, class_weight=None):
        def step_batches():
            for epoch in range(epochs):
                for pieces in zip(*(shard.epoch(epoch) for shard in shards)):
                    inputs, label, *weight = _joined(pieces)
                    if weight and class_weight is not None:  # Keras takes either
                        weight = [weight[0] * np.array([class_weight[each] for each in label], "float32")]
                    yield inputs, label, *weight

        def joined_validation():
            pieces = [piece for shard in shards if shard.validation_rows for piece in shard.validation(1000)]
            return _joined(pieces)

        spec = ({"x": tf.TensorSpec((None, 4)), "row": tf.TensorSpec((None, 1))}, tf.TensorSpec((None,), tf.int64))
        if shards[0].weighted:
            spec = (*spec, tf.TensorSpec((None,)))
        dataset = tf.data.Dataset.from_generator(step_batches, output_signature=spec)
        keras.utils.set_random_seed(seed)
        model = getattr(user_module, build)(**args)
        history = model.fit(
            dataset,
            epochs=epochs,
            steps_per_epoch=shards[0].schedule.steps,
            verbose=0,
            shuffle=False,
            validation_data=joined_validation(),
            class_weight=None if shards[0].weighted else class_weight,
        )
        return model, history.history

    return fit


def _joined(pieces):
    inputs = {name: np.concatenate([piece[0][name] for piece in pieces]) for name in pieces[0][0]}
    label = np.concatenate([piece[1] for piece in pieces])
    weight = [np.concatenate([piece[2] for piece in pieces])] if pieces[0][2] is not None else []
    return {"x": inputs["x"].astype("float32"), "row": inputs["row"].astype("float32")}, label.astype("int64"), *weight


def _finished(run) -> list[Finished]:
    for worker in run.workers:
        assert isinstance(worker.outcome, Finished), f"{worker.outcome}\n{worker.text}"
    return [worker.outcome for worker in run.workers]


def _weights(path: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(path).get_weights()


def _furthest(ours, theirs) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


CASES = {
    "one worker, plain SGD": ("single", [90], dict(optimizer="sgd")),
    "two uneven workers, Adam, weights of rows and of classes": (
        "horovod",
        [130, 40],
        dict(optimizer="adam", rate=0.01, weighted=True),
    ),
    "three workers, one tiny, one without rows, an embedding, clipping": (
        "horovod",
        [60, 5, 0],
        dict(optimizer="adam", rate=0.01, clipnorm=0.05, steps_per_execution=4, table=True),
    ),
    "two workers on TensorFlowOnSpark, one tiny, an embedding": (
        "tensorflowonspark",
        [60, 5],
        dict(optimizer="adam", rate=0.01, table=True),
    ),
    "two workers of two devices each on TensorFlowOnSpark, one tiny, clipping": (
        "tensorflowonspark",
        [60, 5],
        dict(optimizer="sgd", rate=0.5, clipnorm=0.05, steps_per_execution=4),
    ),
    "one worker of two devices, the last batch of one row, clipping": (
        "mirrored",
        [90],
        dict(optimizer="sgd", rate=0.5, clipnorm=0.05),
    ),
    "two uneven workers of two devices each, several steps an execution": (
        "horovod",
        [70, 21],
        dict(optimizer="adam", rate=0.01, clipnorm=0.05, steps_per_execution=4),
    ),
    "two workers, gradients accumulated": ("horovod", [50, 45], dict(optimizer="adam", rate=0.01, accumulate=2)),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_and_metrics_are_those_of_one_plain_process(case, train, plain, make_rows):
    engine, counts, args = CASES[case]
    parts = [make_rows(count, start=1000 * part) for part, count in enumerate(counts)]
    weighted = args.get("weighted", False)
    if weighted:  # of very different sums, so that a mean of the workers' means shows
        parts = [{**part, "weight": (part["row"] % 5) * (1 + 9 * place)} for place, part in enumerate(parts)]
    weights = {0: 1.0, 1: 2.5} if engine == "single" or weighted else None
    devices = 2 if "two devices" in case else 1
    run = train(parts, "dense", args, epochs=3, engine=engine, class_weight=weights, devices=devices)
    told = _finished(run)

    # One step an execution: plain Keras runs several over the end of an epoch of an endless dataset.
    model, history = plain(run.shards, "dense", {**args, "steps_per_execution": 1}, 3, weights)
    assert _furthest(_weights(run.model), model.get_weights()) < TOLERANCE
    # Every worker tells the metrics of all rows; the AUC is the AUC, of training and of validation.
    for each in told:
        names = {"loss", "auc", "accuracy", *(["weighted_auc"] if weighted else [])}
        assert set(each.history) == set(history) == {*names, *(f"val_{name}" for name in names)}
        for name, values in history.items():
            np.testing.assert_allclose(each.history[name], values, rtol=2e-5, err_msg=name)
        assert each.history == told[0].history
    trained = [sum(not mark for mark in part["validation"]) for part in parts]
    assert [each.rows for each in told] == [3 * count for count in trained]
    assert told[0].parameters == model.count_params()
    assert told[0].inputs["x"] == [[4], "float32"]
    assert told[0].epochs == 3 and not told[0].stopped_early and not told[0].notes
    assert 0 < told[0].seconds["train"] < 60 and told[0].peak_memory > 100e6
    ends = run.workers[0].of(EpochEnd)
    assert [end.epoch for end in ends] == [1, 2, 3] and ends[-1].logs["auc"] == told[0].history["auc"][-1]
    assert [phase.name for phase in run.workers[0].of(Phase)] == ["start", "join", "build", "train", "save", "done"]


@pytest.mark.parametrize("engine, counts, devices", [("horovod", [90, 3, 40], 1), ("mirrored", [90], 2)])
def test_every_row_is_trained_on_once_an_epoch_by_a_training_step_of_the_users(train, make_rows, engine, counts, devices):
    parts = [make_rows(count, start=1000 * part) for part, count in enumerate(counts)]
    told = _finished(train(parts, "counting", epochs=2, engine=engine, devices=devices))
    every = sum(part["row"][~part["validation"]].sum() for part in parts)
    kept = sum(part["row"][part["validation"]].sum() for part in parts)
    assert told[0].history["ids"] == [every, every]
    assert told[0].history["val_ids"] == [kept, kept]
    assert engine == "mirrored" or told[0].notes[0].endswith("loss_of_step, worst")
    assert np.isfinite(told[0].history["loss_of_step"]).all()


def test_two_runs_of_a_worker_of_two_devices_give_the_same_weights_to_the_bit(train, make_rows):
    parts = [make_rows(101)]
    runs = [train(parts, "normalized", epochs=2, engine="mirrored", devices=2) for _ in range(2)]
    first, second = (_finished(run)[0] for run in runs)
    assert first.history == second.history
    for one, other in zip(*(_weights(run.model) for run in runs), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


def test_the_saved_model_is_plain_keras(train, make_rows, tmp_path):
    run = train([make_rows(40), make_rows(30, start=1000)], "dense", {"optimizer": "adam"}, epochs=1)
    _finished(run)
    program = f"""
import sys
sys.path = [path for path in sys.path if path not in ("", {str(tmp_path)!r})]
import keras, numpy
model = keras.models.load_model({str(run.model)!r})
assert type(model.optimizer) is keras.optimizers.Adam and "apply" not in vars(model.optimizer)
assert int(model.optimizer.iterations) == {run.shards[0].schedule.steps}
rows = {{"x": numpy.ones((5, 4), "float32"), "row": numpy.ones((5, 1), "float32")}}
assert model.predict(rows, verbose=0).shape == (5, 1)
model.fit(rows, numpy.ones(5), verbose=0)
assert "sparktrain" not in sys.modules
print("loaded")
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip() == "loaded", done.stderr
    # A further run goes on from it, with its optimizer's state.
    more = train([make_rows(40)], "", engine="single", source=Source(file=str(run.model)), epochs=1)
    _finished(more)
    import keras

    steps = run.shards[0].schedule.steps + more.shards[0].schedule.steps
    assert int(keras.models.load_model(more.model).optimizer.iterations) == steps
    assert any(path.name.startswith("events") for path in (run.output / "logs" / "train").iterdir())
