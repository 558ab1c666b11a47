"""Whole runs by every engine and every way to divide the work, on the same executors: the same rows, exactly counted."""

from __future__ import annotations

import numpy
import pytest

import sparktrain

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]
ALL = sum(range(300))


@pytest.fixture
def run(frame, small, tmp_path, node_processes):
    """A run that would stop after its second epoch; its metric `ids` sums the numbers of the rows."""

    def train(engine: str, **words):
        result = sparktrain.train(
            frame,
            small.build_counting,
            args={"rate": 1e-5},
            features=["x"],
            label="number",
            engine=engine,
            batch_size=16,
            validation={"fraction": 0.2},
            output=f"file://{tmp_path}",
            early_stopping={"monitor": "loss", "min_delta": 1e9, "mode": "min"},  # nothing is ever good enough
            **words,
        )
        assert not node_processes(), engine
        return result

    return train


def weights(result) -> list[numpy.ndarray]:
    import keras

    path = f"{result.output.removeprefix('file://')}/model.keras"
    found = keras.models.load_model(path, compile=False).get_weights()
    assert all(numpy.isfinite(each).all() for each in found)
    return found


def test_tensorflowonspark_and_then_horovod_train_alike_and_leave_no_process(run):
    results = [run(engine, workers=2, epochs=5) for engine in ("tensorflowonspark", "horovod")]
    for result in results:
        history = result.history
        assert result.epochs == 2 and len(history["val_loss"]) == 2, "stopped early, by all workers at once"
        assert [ids + kept for ids, kept in zip(history["ids"], history["val_ids"])] == [ALL] * 2
        assert history == results[0].history and result.rows == results[0].rows
    # Sums of two have one order, so even the engines' bits are the same.
    for one, other in zip(*map(weights, results), strict=True):
        assert numpy.array_equal(one, other)


@pytest.mark.parametrize(
    "engine, workers, split, average",
    [
        ("horovod", 2, "epochs", "step"),
        ("tensorflowonspark", 2, "epochs", 4),
        ("tensorflowonspark", 2, "rows", "epoch"),
    ],
)
def test_every_row_is_trained_on_once_in_every_epoch_of_a_worker(run, engine, workers, split, average):
    result = run(engine, workers=workers, epochs=5, split=split, average=average)
    copies = workers if split == "epochs" else 1
    history = result.history
    assert result.epochs == 2 and len(history["val_loss"]) == 2
    assert [ids / copies + kept for ids, kept in zip(history["ids"], history["val_ids"])] == [ALL] * 2
    assert result.rows + result.summary["validation_rows"] == 300
    assert result.summary["steps_per_epoch"] == -(-result.rows * copies // (16 * workers)) or split == "rows"
    weights(result)


def test_with_split_epochs_the_workers_share_the_epochs(run):
    result = run("horovod", workers=2, epochs=2, split="epochs")
    assert result.epochs == len(result.history["loss"]) == 1
