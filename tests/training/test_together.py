"""Workers agree: on when to stop, on the best epoch, on the learning rate; and callbacks run where they belong."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from sparktrain.interfaces.engines import ENGINES
from sparktrain.interfaces.messages import Failure, Finished, Progress

pytestmark = [pytest.mark.real, pytest.mark.slow]
over_engines = pytest.mark.parametrize(
    "engine", [engine.name for engine in ENGINES.values() if not engine.one_worker], indirect=True
)


def _seen(worker, name):
    return re.findall(rf"^{name} epoch=.*$", worker.text, re.MULTILINE)


@over_engines
def test_callbacks_see_all_rows_metrics_and_run_where_keras_users_expect(train, make_rows):
    parts = [make_rows(130), make_rows(60, start=1000)]
    run = train(
        parts,
        "dense",
        {"rate": 0.1, "start_by_rank": True},
        epochs=3,
        save="best",
        warmup_epochs=2.0,
        callbacks="watching",
        early_stopping={"monitor": "val_auc", "mode": "max", "patience": 5},
    )
    first, second = run.workers
    assert isinstance(first.outcome, Finished), first.outcome
    lines = _seen(first, "everywhere")
    assert len(lines) == 3 and lines == _seen(second, "everywhere")  # metrics, rates, weights
    assert _seen(first, "first") and not _seen(second, "first")
    assert "checkpointing here" in first.text and "checkpointing here" not in second.text
    history = first.outcome.history
    assert f"val_auc={history['val_auc'][0]!r}" in lines[0]
    # 2 workers, warm after 2 epochs: the last step of epoch 1 has half of the way behind it, but for one step.
    steps = run.shards[0].schedule.steps
    rates = [float(re.search(r"rate=(\S+)", line)[1]) for line in lines]
    half, nearly = (0.1 * (1 + done / (2 * steps)) for done in (steps - 1, 2 * steps - 1))
    assert rates == pytest.approx([half, nearly, 0.2], rel=1e-5)
    assert "0.1 to 0.2" in first.outcome.notes[0]
    assert first.outcome.best_epoch == 1 + int(np.argmax(history["val_auc"]))
    progress = first.of(Progress)
    assert progress and progress[0].epoch == 1 and np.isfinite(progress[-1].logs["loss"])
    _check_best(run, history)


def _check_best(run, history):
    import keras

    model = keras.models.load_model(run.model)
    pieces = [piece for shard in run.shards for piece in shard.validation(1000)]
    inputs = {name: np.concatenate([piece[0][name] for piece in pieces]) for name in ("x", "row")}
    label = np.concatenate([piece[1] for piece in pieces])
    result = model.evaluate(inputs, label, return_dict=True, verbose=0)
    assert result["auc"] == pytest.approx(max(history["val_auc"]), rel=1e-5)


@over_engines
def test_a_stop_on_one_worker_in_the_middle_of_an_epoch_ends_all_at_its_end(train, make_rows):
    parts = [make_rows(60), make_rows(60, start=1000)]
    run = train(parts, "dense", epochs=6, callbacks="stopping")
    told = [worker.outcome for worker in run.workers]
    assert [each.epochs for each in told] == [2, 2] and all(each.stopped_early for each in told), told
    assert told[0].rows == 2 * 54 and told[0].history == told[1].history
    assert run.model.exists()


@over_engines
def test_early_stopping_ends_all_workers_in_the_same_epoch(train, make_rows):
    parts = [make_rows(60), make_rows(20, start=1000)]
    early = {"monitor": "val_loss", "patience": 1, "min_delta": 10.0}  # nothing is ever good enough
    half = {"policy": "mixed_float16"}  # whose loss scaling the workers decide on together, too
    told = [worker.outcome for worker in train(parts, "dense", half, epochs=6, early_stopping=early).workers]
    assert [each.epochs for each in told] == [2, 2] and all(each.stopped_early for each in told), told
    assert told[0].history == told[1].history


def test_what_horovod_looks_for_in_every_cycle_does_not_interrupt_the_training(train, make_rows):
    run = train([make_rows(30), make_rows(30, start=1000)], "dense", epochs=1, callbacks="classes")
    for worker in run.workers:
        normal, batch = re.search(r"normal=(\w+) batch=(\d+)", worker.text).groups()
        assert normal == "True" and int(batch) >= 2, worker.text  # Horovod's background thread, and Gloo's


def test_a_time_limit_ends_all_workers_after_the_same_epoch_and_keeps_the_model(train, make_rows):
    run = train([make_rows(60), make_rows(20, start=1000)], "dense", engine="horovod", epochs=6, ends_at=time.monotonic())
    told = [worker.outcome for worker in run.workers]
    assert [each.epochs for each in told] == [1, 1] and all(each.stopped_early for each in told), told
    assert "time_limit ended training after epoch 1 of 6" in told[0].notes[0] and run.model.exists()


def test_a_monitor_that_no_metric_has_names_the_metrics(train, make_rows):
    run = train([make_rows(30)], "dense", engine="single", early_stopping={"monitor": "val_f1", "mode": "max"}, rehearsal=True)
    told = run.workers[0].outcome
    assert isinstance(told, Failure) and "'val_f1'" in told.message and "val_auc" in told.message
