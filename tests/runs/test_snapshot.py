"""A run's end as it is read back from the storage, and what is left of a run that left no model."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

from sparktrain.runs import failures
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.json_text import write_json
from sparktrain.runs.records.run import End, Summary
from sparktrain.runs.result import Result
from sparktrain.runs.snapshot import final_result, read_run

SUMMARY = {
    "run": "one",
    "status": "finished",
    "finished": "2026-01-01T00:00:00+00:00",
    "engine": "horovod",
    "workers": 2,
    "rows": 80_000,
    "epochs": 5,
    "attempts": 2,
    "wall": 66.617,
    "metrics": {"val_auc": 0.76668, "loss": float("nan")},
    "seconds": {"train": 40.0},
}
FAILED = Result(run="one", status="failed", workers=2, engine="single", attempts=1, seconds=3.2, reason="rank 1: no")


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    return f"file://{tmp_path}/models" if request.param == "file" else f"memory://seen/{tmp_path.name}"


def folder(url, run="one") -> RunFolder:
    return RunFolder(url, run, {})


def end(url, run="one", finished=None, application="app-1", result=FAILED):
    """A run that is claimed, and ends without a model."""
    mine = folder(url, run)
    mine.claim({"application": application})
    mine.staged.write_text("given.keras", "half a model")
    finished = finished or datetime.now(UTC).isoformat()
    record = {"finished": finished, "traceback": "Traceback: mine", "application": application}
    mine.end(End(**result.to_dict() | record), "a\nb\n")
    mine.discard()
    return mine


def test_the_end_of_a_finished_run_is_its_line(url):
    mine = folder(url)
    assert final_result(mine.root, "one") is None
    mine.claim({"application": "app-1"})
    assert final_result(mine.root, "one") is None and read_run(mine.root, "one").content["application"] == "app-1"
    mine.complete(Summary(**SUMMARY), "the log\n")
    mine.publish()
    told = final_result(mine.root, "one")
    line = {
        "run": "one",
        "output": mine.final.url,
        "status": "finished",
        "rows": 80_000,
        "epochs": 5,
        "workers": 2,
        "engine": "horovod",
        "attempts": 2,
        "seconds": 66.617,
        "metrics": {"val_auc": 0.76668, "loss": None},
        "version": 1,
    }
    assert json.loads(told.to_json()) == line and told.summary["seconds"] == {"train": 40.0}
    assert read_run(mine.root, "one").log() == "the log\n"
    assert set(mine.final.list()) == {"logs", "summary.json"}


def test_the_end_of_a_run_that_failed_is_its_line_and_nothing_else_of_it_is_left(url):
    root = end(url).root
    assert final_result(root, "one").to_json() == FAILED.to_json()
    seen = read_run(root, "one")
    assert (seen.state, seen.content["traceback"], seen.log()) == ("ended", "Traceback: mine", "a\nb\n")
    assert not root.exists("_runs/one") and root.join("_ended/one").list() == ["end.json", "run.log"]
    assert final_result(root, "one", application="app-1").reason == "rank 1: no"
    assert final_result(root, "one", application="app-2") is None, "an earlier application's end"


def test_a_run_id_of_a_run_that_failed_is_free_and_one_of_a_run_that_lives_is_not(url):
    root = end(url).root
    again = folder(url)
    again.claim({"application": "app-2"})
    assert final_result(root, "one") is None and not root.exists("_ended/one")
    with pytest.raises(RunTaken, match="is in use by"):
        folder(url).claim({"application": "app-3"})
    again.complete(Summary(**SUMMARY), "")
    again.publish()
    assert final_result(root, "one", application="app-2").status == "finished"


def test_a_failure_after_a_model_is_published_leaves_no_record(url):
    mine = folder(url)
    mine.claim({})
    mine.complete(Summary(**SUMMARY), "")
    mine.publish()
    mine.end(End(**FAILED.to_dict(), finished="2026-01-01T00:00:00+00:00"), "")
    assert final_result(mine.root, "one").status == "finished" and not mine.root.exists("_ended/one")


def test_what_a_run_without_a_model_has_left_is_kept_for_thirty_days(url):
    now = datetime.now(UTC)
    for run, days in (("old", 31), ("new", 29)):
        root = end(url, run, (now - timedelta(days=days)).isoformat()).root
        root.write_text(f"_runs/{run}/checkpoints/000001-0000000000-of-1.npz", "x")
    root.write_text("_ended/half/run.log", "its driver was killed while it wrote its record")
    folder(url, "killed").claim({})
    folder(url, "just").claim({})
    root.write_text("_ended/just/run.log", "this one writes its record now")
    before = now - timedelta(days=31)
    for each in ("_ended/old", "_runs/old", "_ended/half", "_runs/killed"):
        if url.startswith("file:"):
            os.utime(Path(url.removeprefix("file://"), each), (before.timestamp(),) * 2)
        for path, stored in fsspec.filesystem("memory").store.items():
            if path.startswith(f"{url.removeprefix('memory:/')}/{each}/"):
                stored.created = before
    mine = folder(url, "mine")
    mine.claim({})
    mine.forget_old()
    assert failures.names(root) == ["just", "new"] and read_run(root, "old") is None
    assert root.join("_runs").list() == ["just", "mine", "new"]


def test_a_run_that_is_just_being_published_is_at_work(url):
    mine = folder(url)
    mine.claim({})
    write_json(mine.staged, "summary.json", SUMMARY)
    assert read_run(mine.root, "one").state == "running" and final_result(mine.root, "one") is None
