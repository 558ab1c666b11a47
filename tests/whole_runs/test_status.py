"""What is to be seen of a run from elsewhere, by the storage alone: while it is at work, and when it has ended."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

import sparktrain
from sparktrain.cli.command import main
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import Job
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.runs import status_writer
from sparktrain.runs.snapshot import final_result, read_run
from sparktrain.storage import NotFound, open_folder

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]


@pytest.fixture(scope="module")
def output(hdfs, spark):
    return f"{hdfs.uri}/models/status"


@pytest.fixture(autouse=True)
def no_thread():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "report"]


def train(frame, model, output, **words):
    words = {"features": ["x"], "label": "y", "engine": "single", "batch_size": 16, "epochs": 2, **words}
    return sparktrain.train(frame, model, output=output, **words)


def test_a_run_on_hdfs_is_seen_at_work_and_its_end_is_the_line_that_it_printed(
    frame, small, output, monkeypatch, capsys, meanwhile
):
    monkeypatch.setattr(status_writer, "_EVERY", 0.2)
    root, statuses, logs = open_folder(output), [], []
    work = root.join("_runs", "slow")

    def look_on() -> None:
        seen = read_run(root, "slow")
        if seen is not None and seen.state == "running":
            statuses.append(seen.content)
            try:
                if work.exists("log.txt"):
                    logs.append(work.read_text("log.txt"))
            except NotFound:  # the run has ended between the two
                assert read_run(root, "slow").state != "running"

    with meanwhile(look_on, every=0.1):
        result = train(
            frame,
            small.build_slow,
            output,
            label="number",
            epochs=3,
            run_id="slow",
            callbacks="small:note_ranks",
            workers=2,
            engine="horovod",
        )
    phases = [status.get("phase") for status in statuses]
    assert "train" in phases, phases
    training = [status for status in statuses if status.get("epoch")]
    last = training[-1]
    assert last["status"] == "running" and last["output"] is None and last["rows"] == 300
    assert last["engine"] == "horovod" and last["workers"] == 2 and last["attempts"] == 1
    assert last["of_epochs"] == 3 and last["rows_per_second"] > 0 and last["loss"] > 0
    places = [(status["epoch"], status["step"]) for status in training]
    assert places == sorted(places) and len(set(places)) > 1, places
    assert [status["epochs"] for status in training] == sorted(status["epochs"] for status in training)
    assert any(status["metrics"].get("loss") for status in training if status["epochs"])
    assert last["application"] and last["updated"] > last["since"]

    assert root.list() == ["_runs", "slow"] and root.join("_runs").list() == []
    log = root.read_text("slow/logs/run.log")
    for text in ("workers: train", "epoch 3: loss", "[0] epoch 0 loss", "[1] epoch 0 loss", "writing the run's files"):
        assert text in log, log
    assert logs and all(log.startswith(each) for each in logs)
    assert not {"status.json", "log.txt", "running.json"} & set(root.join("slow").list())
    assert final_result(root, "slow").to_json() == result.to_json()
    capsys.readouterr()
    assert main(["runs", "tail", f"{output}/slow", "-f"]) == 0
    assert capsys.readouterr().out == log + result.to_json() + "\n"


def test_a_run_that_failed_leaves_its_record_and_its_log_and_its_id_may_be_used_again(frame, small, output, capsys):
    root = open_folder(output)
    with pytest.raises(AttemptFailed):
        train(frame, small.build_failing, output, run_id="again")
    assert not root.exists("_runs/again") and root.join("_ended/again").list() == ["end.json", "run.log"]
    end = final_result(root, "again")
    assert (end.status, end.output, end.attempts, end.workers) == ("failed", None, 1, 1)
    assert "the builder's own mistake" in end.reason
    record = json.loads(root.read_text("_ended/again/end.json"))
    assert end.to_dict().items() <= record.items() and "in build_failing" in record["traceback"] and record["finished"]
    log = root.read_text("_ended/again/run.log")
    assert "workers: build" in log and "failed: rank 0 on" in log and "in build_failing" in log
    capsys.readouterr()
    assert main(["runs", "tail", f"{output}/again", "--follow"]) == 1
    assert capsys.readouterr().out == log + end.to_json() + "\n"
    assert main(["runs", "show", f"{output}/again"]) == 0 and "build_failing" in capsys.readouterr().out

    result = train(frame, small.build, output, run_id="again", epochs=1)
    assert final_result(root, "again").to_json() == result.to_json() and not root.exists("_ended/again")


def test_a_rehearsal_tells_shapes_counts_and_steps_and_leaves_nothing_whether_it_passes_or_not(
    spark, frame, small, output, capfd
):
    root = open_folder(f"{output}-rehearsed")
    job = Job.from_mapping(
        {
            "name": "rehearsed",
            "data": {"features": ["x"], "label": "y"},
            "model": {},
            "training": {"engine": "single", "batch_size": 16},
            "output": {"path": root.url},
        }
    )
    assert run_job(spark, job, check=True, supplied=SuppliedObjects(frame=frame, model=small.build)).status == "checked"
    shown = capfd.readouterr().err
    for word in ("input x", "(4,)", "class 0", "class 1", "steps an epoch", "disk a worker"):
        assert word in shown, shown
    with pytest.raises(AttemptFailed):
        run_job(spark, job, check=True, supplied=SuppliedObjects(frame=frame, model=small.build_failing))
    assert root.list() == ["_runs"] and root.join("_runs").list() == []


def test_a_run_goes_on_while_its_status_cannot_be_written_which_is_told_once(frame, small, tmp_path, monkeypatch, capfd):
    """As if the storage took nothing but from the workers."""
    monkeypatch.setattr(status_writer, "_EVERY", 0.1)
    monkeypatch.setattr(status_writer, "STATUS", "running.json/status.json")  # under a file there can't be one
    result = train(frame, small.build, f"file://{tmp_path}", run_id="on")
    assert result.status == "finished" and Path(tmp_path, "on", "model.keras").exists()
    assert capfd.readouterr().err.count("status can't be written") == 1
    time.sleep(0.2)
    assert [path.name for path in tmp_path.glob("_runs/*")] == []
