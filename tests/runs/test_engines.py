"""Whole runs by one engine after another, on the same executors: the same rows, the same steps, the same model."""

from __future__ import annotations

import numpy
import pytest

import sparktrain

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


def test_tensorflowonspark_and_then_horovod_train_alike_and_leave_no_process(frame, small, tmp_path, node_processes):
    results = []
    for engine in ("tensorflowonspark", "horovod"):
        results.append(sparktrain.train(
            frame, small.build_counting, args={"rate": 1e-5}, features=["x"], label="number", engine=engine, workers=2,
            batch_size=16, epochs=5, validation={"fraction": 0.2}, output=f"file://{tmp_path}",
            early_stopping={"monitor": "loss", "min_delta": 1e9, "mode": "min"},   # nothing is ever good enough
        ))
        assert not node_processes(), engine
    for result in results:
        history = result.history
        assert result.epochs == 2 and len(history["val_loss"]) == 2, "stopped early, by all workers at once"
        assert [ids + kept for ids, kept in zip(history["ids"], history["val_ids"])] == [sum(range(300))] * 2
        assert history == results[0].history and result.rows == results[0].rows
    # Sums of two have one order, so even the engines' bits are the same.
    import keras

    models = [keras.models.load_model(f"{result.output.removeprefix('file://')}/model.keras", compile=False)
              for result in results]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert numpy.array_equal(one, other) and numpy.isfinite(one).all()
