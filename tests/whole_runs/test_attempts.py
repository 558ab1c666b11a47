"""A run goes on after what was lost, as if nothing had happened; and not after what would only fail again."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from threading import Thread

import numpy
import psutil
import pytest

import sparktrain
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]
WORDS = dict(
    features=["x"],
    label="y",
    workers=2,
    batch_size=16,
    epochs=5,
    validation={"fraction": 0.2},
    checkpoint={"every": "epoch", "keep": 2},
    early_stopping={"monitor": "val_loss", "patience": 4},
    keep="none",
)


def train(frame, small, output, **words):
    return sparktrain.train(frame, small.build_dropping, output=str(output), **{**WORDS, **words})


@pytest.fixture(scope="module")
def unbroken(frame, small, tmp_path_factory):
    """What all broken runs must come to."""
    result = train(frame, small, f"file://{tmp_path_factory.mktemp('unbroken')}")
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


@pytest.mark.parametrize(
    "every, killed, checkpoint, told",
    [
        ("epoch", {"rank": 0, "epoch": 3, "step": 0}, "000003-0000000000-*", "the end of epoch 3"),
        (3, {"rank": 1, "epoch": 2, "step": 7}, "000002-0000000006-*", "step 6 of epoch 3"),
    ],
)
def test_a_killed_worker_costs_no_row_and_changes_no_weight(
    frame, small, tmp_path, unbroken, killer, every, killed, checkpoint, told
):
    result = train(
        frame,
        small,
        f"file://{tmp_path}/runs",
        max_failures=1,
        checkpoint={"every": every, "keep": 1},
        callbacks=killer(**killed, checkpoint=checkpoint),
    )
    assert result.attempts == 2 and same(result, unbroken)
    folder = open_folder(result.output)
    assert "checkpoints" not in folder.list()
    log = folder.read_text("logs/run.log")
    assert "retrying in 1 s (failure 1 of at most 1)" in log and f"continuing from {told}\n" in log


STALL = 45.0  # of a machine that other tests keep busy a process may hear nothing for ten seconds and more
HARMS = {  # by what is done; to whom: of the training process of a rank, itself, its task's process, the executor
    "SIGKILL of a training process": (1, lambda family: family[0].kill()),
    "SIGSTOP of a training process": (0, lambda family: family[0].suspend()),
    "SIGKILL of a task's Python process": (1, lambda family: family[1].kill()),
    "SIGKILL of an executor": (0, lambda family: family[3].kill()),
}


@pytest.mark.failures
@pytest.mark.timeout(900)
def test_one_harm_after_the_other_costs_no_row_and_changes_no_weight(frame, small, tmp_path, unbroken, note_failure):
    """A process in each epoch; what is lost is noticed in seconds, and training goes on from the last checkpoint."""
    with harming(tmp_path, HARMS) as (callbacks, done):
        result = train(
            frame,
            small,
            f"file://{tmp_path}/runs",
            max_failures=len(HARMS),
            checkpoint={"every": 3, "keep": 1},
            cluster={"stall_timeout": STALL},
            callbacks=callbacks,
        )
    assert result.attempts == 1 + len(HARMS) and same(result, unbroken)
    log = open_folder(result.output).read_text("logs/run.log")
    assert "rank 0 on 127.0.0.1: Stalled" in log and "this one has given no sign of life" in log
    for what, (began, noticed) in done.items():
        assert noticed - began < 30 + (STALL if "STOP" in what else 0), what  # seconds where nothing else keeps the cores busy
        again = step_after(tmp_path, noticed)
        waits = f"after `cluster.stall_timeout`, here {STALL:.0f} s, " if "STOP" in what else ""
        note_failure(what, f"{waits}training goes on from the last checkpoint", noticed - began, again - began)
    assert list(done) == list(HARMS)


def test_what_an_executors_end_breaks_in_a_worker_is_no_fault_of_the_users_code(frame, small, tmp_path):
    """As YARN does it: the JVM is ended, the container's files are removed, and only then do its other processes end."""
    where = str(tmp_path / "failed")
    result = train(
        frame,
        small,
        f"file://{tmp_path}/runs",
        max_failures=1,
        epochs=1,
        validation=None,
        early_stopping=None,
        callbacks=lambda: __import__("small").outlive_the_executor(where),
    )
    log = open_folder(result.output).read_text("logs/run.log")
    assert result.attempts == 2 and "ExecutorGone: the executor's JVM is gone, and then FileNotFoundError" in log, log


@pytest.mark.failures
@pytest.mark.timeout(900)
def test_a_datanode_that_is_lost_and_a_namenode_that_is_away_as_the_model_is_saved_cost_nothing_either(
    spark, hdfs, frame, small, tmp_path, unbroken, note_failure
):
    def lose_a_datanode(family):
        hdfs.kill("datanode-1")
        family[0].kill()  # so that rows and checkpoint are read again

    def be_away(family):
        hdfs.kill("namenode")
        (tmp_path / "passed-4").touch()  # a step later there is a checkpoint to be written, and three later the model
        until = time.monotonic() + 60
        while not (tmp_path / "trained-0").exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(3)
        hdfs.start()

    harms = {
        "A DataNode killed, and a training process": (1, lose_a_datanode),
        "1": (0, None),
        "2": (0, None),
        "3": (0, None),
        "The NameNode away in the last epoch": (1, be_away),
    }
    frame.write.parquet(f"{hdfs.uri}/harmed/rows")
    with harming(tmp_path, harms) as (callbacks, done):
        result = train(
            spark.read.parquet(f"{hdfs.uri}/harmed/rows"),
            small,
            f"{hdfs.uri}/harmed/runs",
            max_failures=1,
            checkpoint={"every": 3, "keep": 1},
            callbacks=callbacks,
        )
    assert result.attempts == 2 and same(result, unbroken)
    assert "continuing from" in open_folder(result.output).read_text("logs/run.log")
    (began, noticed), _ = done.values()
    note_failure(
        "A DataNode killed, and a training process",
        "reads and writes go to the other one; training goes on from the last checkpoint",
        noticed - began,
        step_after(tmp_path, noticed) - began,
    )
    note_failure(
        "The NameNode away at a checkpoint, and as the model is saved",
        "training is not held up; checkpoint and model are written once it is back",
    )


@contextmanager
def harming(folder, harms):
    """The callbacks of workers that wait for a harm each epoch; what was done, with when and when its peer was ended."""
    done: dict[str, tuple[float, float]] = {}
    ranks, where = [rank if act is not None else None for rank, act in harms.values()], str(folder)

    def harm() -> None:
        for number, (what, (rank, act)) in enumerate(harms.items()):
            if act is None:
                continue
            waits, peers = folder / f"waits-{number}", folder / f"steps-{1 - rank}"
            while not waits.exists():
                time.sleep(0.05)
            mine = psutil.Process(int(waits.read_text()))
            peer = psutil.Process(int(peers.read_text().splitlines()[-1].split()[1]))
            act(__import__("small").family(mine))
            began = time.time()
            while not (folder / f"passed-{number}").exists() and alive(peer):
                time.sleep(0.02)
            done[what] = began, time.time()

    thread = Thread(target=harm, daemon=True)
    thread.start()
    yield lambda: __import__("small").wait_for_harm(where, 5, ranks), done
    thread.join(10)


def step_after(folder, noticed: float) -> float:
    """When a worker made its first step after that."""
    lines = [line.split() for rank in (0, 1) for line in (folder / f"steps-{rank}").read_text().splitlines()]
    return min(float(at) for at, _ in lines if float(at) > noticed)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.failures
def test_more_failures_than_may_be_end_the_run_with_the_last_one(frame, small, tmp_path, note_failure):
    with pytest.raises(AttemptFailed, match="SIGKILL.*memory") as caught:
        train(frame, small, f"file://{tmp_path}/runs", max_failures=1, callbacks="small:kill_one", early_stopping=None)
    assert (caught.value.failure.rank, caught.value.failure.failure.error) == (1, "WorkerLost"), "and none of its peers"
    now = time.time()
    [ended] = (tmp_path / "runs" / "_ended").iterdir()
    assert '"attempts": 2' in (ended / "end.json").read_text()
    killed = max(map(float, re.findall(r"killed at ([\d.]+)", (ended / "run.log").read_text())))
    note_failure("More failures than `max_failures`", "ends with the last one's rank, host and cause", now - killed)


@pytest.mark.failures
def test_what_would_only_fail_again_is_not_tried_again(frame, small, tmp_path, note_failure):
    with pytest.raises(AttemptFailed) as caught:
        train(frame, small, f"file://{tmp_path}/runs", max_failures=3, callbacks="small:fail_one", early_stopping=None)
    assert (caught.value.failure.rank, caught.value.failure.failure.error) == (1, "ZeroDivisionError"), "and none of its peers"
    noticed = time.time() - float(caught.value.failure.failure.message.split(" at ")[1])
    [ended] = (tmp_path / "runs" / "_ended").iterdir()
    assert '"attempts": 1' in (ended / "end.json").read_text()
    note_failure(
        "An exception in a callback of one worker", "ends with rank, host and the user's traceback; not tried again", noticed
    )
