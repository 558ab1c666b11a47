"""A run that is ended at any step after its first checkpoint is published, or goes on to the same model."""

from __future__ import annotations

import hashlib
import json
import threading
from itertools import count

import pytest

from sparktrain.cluster.root_cause import WorkerFailure
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import Job
from sparktrain.data import Prepared
from sparktrain.driver import training_run
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.interfaces.messages import Failure, Finished, Joined, Phase
from sparktrain.runs.claimant import HELD_TOKENS
from sparktrain.runs.finished import resolve
from sparktrain.storage import StorageError, open_folder
from sparktrain.storage.local import LocalStore

pytestmark = pytest.mark.real

MODEL = b"what the weights come to" * 1000
CHECKPOINT = "checkpoints/000001-0000000000-of-1.npz"


class Killed(BaseException):
    """Stands for SIGKILL: after it, nothing that the process does reaches the storage."""


class Fault:
    """Lets the storage of the driver's main thread fail, once it has made so many calls since training began."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None  # calls until the fault; None: it isn't armed
        self.raises: BaseException | None = None
        self.dead = self.struck = False
        for name in ("read", "write", "claim", "remove", "move", "entries", "kind"):
            patch.setattr(LocalStore, name, self._guarded(getattr(LocalStore, name)))

    def _guarded(self, call):
        def guarded(store, *args):
            if self.dead:
                raise OSError("no such process")
            if self.left is not None and threading.current_thread() is threading.main_thread():
                self.left -= 1
                if self.left < 0:
                    self.left, self.struck = None, True
                    self.dead = isinstance(self.raises, Killed)
                    raise self.raises
            return call(store, *args)

        return guarded


@pytest.fixture
def fault():
    with pytest.MonkeyPatch.context() as patch:
        yield Fault(patch)


@pytest.fixture
def job(tmp_path):
    return Job.from_mapping(
        {
            "data": {"features": ["x"], "label": "y"},
            "training": {"engine": "single", "batch_size": 8},
            "output": {"path": f"file://{tmp_path}/models"},
        }
    )


@pytest.fixture
def go(spark, job, monkeypatch):
    """Runs the job with training's own part played by what it leaves on the storage; the fault is armed at the checkpoint."""
    trained = []

    def train(run, prepared, model, slots):
        """As the workers do: from the checkpoint on, if there is one."""
        folder = open_folder(run.folder.staged.url)  # the child's own
        if not folder.exists(CHECKPOINT):
            trained.append(run.id)
            folder.write_bytes(CHECKPOINT, b"state")
        if train.arms is not None:
            train.arms()
        folder.write_bytes("model.keras", MODEL)
        run.timeline.begin_attempt()
        run.timeline.mark("stage")
        for message in (Joined(0, 10, 0, 100, 2, {"x": [[1], "float32"]}), Phase("train"), Phase("save")):
            run.timeline.message(0, message)
        run.timeline.mark("end")
        return [
            Finished(
                {"loss": [1.0, 0.5]},
                20,
                4,
                {},
                epochs=2,
                model_bytes=len(MODEL),
                model_sha256=hashlib.sha256(MODEL).hexdigest(),
                signature={"inputs": [], "outputs": []},
            )
        ]

    train.arms = None
    monkeypatch.setattr(training_run, "train", train)
    monkeypatch.setattr("sparktrain.driver.artifacts.artifacts.curves", lambda history: b"a picture, drawn in no time")
    prepared = Prepared(frame=spark.range(1))

    def run(arms=None):
        train.arms = arms
        return run_job(spark, job, run_id="mine", supplied=SuppliedObjects(prepared=prepared, model=lambda: None))

    run.trained = trained
    return run


def is_whole(result, job) -> None:
    root = open_folder(job.output.path)
    assert root.join("mine").read_bytes("model.keras") == MODEL and result.status == "finished"
    assert set(root.join("mine").list()) - {"running.json", "running.2.json"} == {
        "history.json",
        "history.png",
        "job.yaml",
        "lineage.json",
        "logs",
        "model.keras",
        "signature.json",
        "summary.json",
    }
    assert resolve(f"{job.output.path}/latest") == result.output
    assert not root.exists("_runs/mine")


@pytest.mark.parametrize(
    "raises", [OSError("a storage error"), KeyboardInterrupt(), Killed()], ids=["storage error", "SIGTERM", "SIGKILL"]
)
@pytest.mark.timeout(600)
def test_a_run_that_is_ended_at_any_step_after_its_first_checkpoint_goes_on_to_the_same_model(go, job, fault, raises):
    root = open_folder(job.output.path)
    for step in count():

        def arm():
            fault.left, fault.raises = step, raises

        fault.struck = False
        try:
            result = go(arm)
        except (OSError, KeyboardInterrupt, Killed, StorageError):
            result = None
        struck, fault.left, fault.dead = fault.struck, None, False
        if isinstance(raises, Killed):
            HELD_TOKENS.clear()  # as with its process
        if not root.exists("mine"):
            assert root.exists(f"_runs/mine/{CHECKPOINT}") or root.exists("_runs/mine/model.keras"), f"lost at step {step}"
            result = go()
        is_whole(result or go(), job)
        assert go.trained == ["mine"], f"trained anew after step {step}"
        root.remove("mine", recursive=True)
        root.remove("_ended", recursive=True)
        go.trained.clear()
        if not struck:
            break
    assert step > 20, "the fault was to strike at each of the driver's steps"


def test_one_failure_too_many_keeps_the_checkpoint_and_says_how_to_go_on(go, job, monkeypatch, capfd):
    def fail():
        raise AttemptFailed(WorkerFailure(0, 0, "node", Failure("lost", "TaskLost", "its Spark task is gone")))

    with pytest.raises(AttemptFailed):
        go(fail)
    root = open_folder(job.output.path)
    assert root.exists(f"_runs/mine/{CHECKPOINT}") and not root.exists("_runs/mine/running.json")
    assert json.loads(root.read_text("_ended/mine/end.json"))["resumable"] is True
    said = capfd.readouterr().err
    assert "--run-id mine" in said and "sparktrain runs remove" in said
    is_whole(go(), job)
    assert go.trained == ["mine"]


def test_a_model_that_is_not_what_rank_0_wrote_is_not_called_finished(go, job):
    root = open_folder(job.output.path)

    class Lost(RuntimeError):
        pass

    def lose_the_model():
        raise Lost

    with pytest.raises(Lost):
        go(lose_the_model)
    run_job_train = training_run.train

    def truncated(run, *rest):
        finished = run_job_train(run, *rest)
        open_folder(run.folder.staged.url).write_bytes("model.keras", MODEL[:-1])
        return finished

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="is not what rank 0 saved: 23,999 bytes"):
        patch.setattr(training_run, "train", truncated)
        go()
    assert not root.exists("mine")
    is_whole(go(), job)


def test_a_picture_that_cannot_be_drawn_is_a_note(go, job, monkeypatch, capfd):
    def broken(history):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("sparktrain.driver.artifacts.artifacts.curves", broken)
    result = go()
    assert result.status == "finished" and "no history.png" in capfd.readouterr().err
    assert "history.png" not in open_folder(result.output).list()
