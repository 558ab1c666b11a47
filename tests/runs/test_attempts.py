"""A run goes on after what was lost, as if nothing had happened; and not after what would only fail again."""

from __future__ import annotations

import re

import numpy
import pytest

import sparktrain
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]
WORDS = dict(features=["x"], label="y", workers=2, batch_size=16, epochs=5, validation={"fraction": 0.2},
             checkpoint={"every": "epoch", "keep": 2}, early_stopping={"monitor": "val_loss", "patience": 4}, keep="none")


def train(frame, small, output, **words):
    return sparktrain.train(frame, small.build_dropping, output=f"file://{output}", **{**WORDS, **words})


@pytest.fixture(scope="module")
def unbroken(frame, small, tmp_path_factory):
    """What all broken runs must come to."""
    result = train(frame, small, tmp_path_factory.mktemp("unbroken"))
    assert result.attempts == 1
    return result


def same(result, unbroken) -> bool:
    assert result.history.keys() == unbroken.history.keys()
    for name, values in unbroken.history.items():
        numpy.testing.assert_array_equal(result.history[name], values, name)
    for mine, expected in zip(result.model.get_weights(), unbroken.model.get_weights(), strict=True):
        numpy.testing.assert_array_equal(mine, expected)
    mine, expected = result.model.optimizer.variables, unbroken.model.optimizer.variables
    for one, other in zip(mine, expected, strict=True):
        numpy.testing.assert_array_equal(one.numpy(), other.numpy(), one.path)
    return True


@pytest.fixture
def killer(small, tmp_path, monkeypatch):
    """The callbacks' function that kills a worker once, for a job that names functions."""
    def callbacks(rank, epoch, step, checkpoint):
        where, written = str(tmp_path / "killed"), f"{tmp_path}/runs/_runs/*/checkpoints/{checkpoint}"
        return lambda: __import__("small").kill_once(where, rank, epoch, step, written)

    return callbacks


@pytest.mark.parametrize("every, killed, checkpoint, told", [
    ("epoch", {"rank": 0, "epoch": 3, "step": 0}, "000003-0000000000-*", "the end of epoch 3"),
    (3, {"rank": 1, "epoch": 2, "step": 7}, "000002-0000000006-*", "step 6 of epoch 3"),
])
def test_a_killed_worker_costs_no_row_and_changes_no_weight(frame, small, tmp_path, unbroken, killer, every, killed,
                                                            checkpoint, told):
    result = train(frame, small, tmp_path / "runs", max_failures=1, checkpoint={"every": every, "keep": 1},
                   callbacks=killer(**killed, checkpoint=checkpoint))
    assert result.attempts == 2 and same(result, unbroken)
    folder = open_folder(result.output)
    assert "checkpoints" not in folder.list()
    log = folder.read_text("logs/run.log")
    assert "trying again in 1 s (1 of 1 failures that may be)" in log and re.search(rf"going on from {told}$", log, re.M)


def test_more_failures_than_may_be_end_the_run_with_the_last_one(frame, small, tmp_path):
    with pytest.raises(AttemptFailed, match="SIGKILL"):
        train(frame, small, tmp_path / "runs", max_failures=1, callbacks="small:kill_one", early_stopping=None)
    [ended] = (tmp_path / "runs" / "_ended").iterdir()
    assert '"attempts": 2' in (ended / "end.json").read_text()


def test_what_would_only_fail_again_is_not_tried_again(frame, small, tmp_path):
    with pytest.raises(AttemptFailed, match="ZeroDivisionError"):
        train(frame, small, tmp_path / "runs", max_failures=3, callbacks="small:fail_one", early_stopping=None)
    [ended] = (tmp_path / "runs" / "_ended").iterdir()
    assert '"attempts": 1' in (ended / "end.json").read_text()
