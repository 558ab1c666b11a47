"""What a run writes of itself while it is at work: when something changes, and whatever the storage does."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from sparktrain.display.run_progress import RunProgress
from sparktrain.interfaces.messages import Joined, Phase, Progress
from sparktrain.runs import status_writer
from sparktrain.runs.log import RunLog
from sparktrain.runs.ownership import SILENT
from sparktrain.runs.records.run import Stop
from sparktrain.runs.status_writer import StatusWriter, due
from sparktrain.storage import claims, open_folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(status_writer, "_EVERY", 0.05)


@pytest.fixture
def claimed(tmp_path):
    """A folder that is this process's, and its token."""
    folder = open_folder(str(tmp_path / "run"))
    return folder, claims.take(folder, {})


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_status_is_due_when_it_has_changed_and_every_minute_as_a_sign_of_life():
    assert due(True, 1.0, 60.0) and due(False, 60.0, 60.0) and not due(False, 59.0, 60.0)


def test_an_old_run_is_written_of_less_often_but_never_less_than_others_watch_for():
    assert due(True, 30.0, 1e9) and not due(True, 29.0, 3600.0) and status_writer._SELDOM < status_writer._SIGN < SILENT / 2


def test_what_changed_is_written_once_and_nothing_after_the_end(claimed):
    writes: list[str] = []

    class Noted:
        """A real folder that notes what is written into it."""

        def __init__(self, folder):
            self.folder = folder

        def at_once(self):
            return self

        def write_text(self, name, text):
            writes.append(name)
            self.folder.write_text(name, text)

        def __getattr__(self, name):
            return getattr(self.folder, name)

    status, log = {"run": "one", "status": "running", "phase": "reading", "seconds": 0.0}, RunLog()
    folder, token = claimed
    log.add("reading")
    with StatusWriter(Noted(folder), lambda: status | {"seconds": time.monotonic()}, log, pytest.fail, token):
        until(lambda: writes == ["log.txt", "status.json"])
        time.sleep(0.3)
        assert writes == ["log.txt", "status.json"], "only the clock has gone on"
        status["phase"] = "train"
        until(lambda: len(writes) == 3)
        log.add("more")
        until(lambda: len(writes) == 5)
    assert writes[2:] == ["status.json", "log.txt", "status.json"]
    assert not [thread for thread in threading.enumerate() if thread.name == "report"]
    written = json.loads(folder.read_text("status.json"))
    age = datetime.now(UTC) - datetime.fromisoformat(written.pop("updated"))
    assert (
        written.pop("seconds")
        and written == {"run": "one", "status": "running", "phase": "train", "version": 1}
        and 0 <= age.total_seconds() < 10
    )
    assert folder.read_text("log.txt") == log.text()


def test_a_storage_that_is_away_is_told_once_and_tried_again(claimed, tmp_path):
    told: list[str] = []
    folder, token = claimed
    (tmp_path / "run").rename(tmp_path / "away")
    (tmp_path / "run").write_text("a file where the folder is to be")
    with StatusWriter(folder, lambda: {"run": "one", "status": "running", "phase": "train"}, RunLog(), told.append, token):
        until(lambda: told)
        time.sleep(0.3)
        assert len(told) == 1 and str(tmp_path / "run") in told[0] and "retrying" in told[0]
        (tmp_path / "run").unlink()
        (tmp_path / "away").rename(tmp_path / "run")
        until(lambda: (tmp_path / "run" / "status.json").exists())
    assert len(told) == 1


def test_a_status_that_cannot_be_made_is_told_too(claimed):
    told: list[str] = []
    with StatusWriter(claimed[0], lambda: {}["phase"], RunLog(), told.append, claimed[1]):
        until(lambda: told)
    assert "phase" in told[0]


def test_a_request_to_stop_is_passed_on_once_and_removed_and_what_is_none_is_ignored(claimed):
    folder, token = claimed
    told, asked = [], []
    status = {"run": "one", "status": "running"}
    with StatusWriter(folder, lambda: status, RunLog(), told.append, token, asked.append):
        for now in (False, True):
            request = Stop(now=now, user="ann", host="node7", asked="2026-01-01T00:00:00+00:00")
            request.write(folder, "stop.json")
            until(lambda: asked and asked[-1] == request)
            until(lambda: not folder.exists("stop.json"))
        folder.write_text("stop.json", "{}")
        until(lambda: told)
        until(lambda: not folder.exists("stop.json"))
    assert [each.now for each in asked] == [False, True] and len(told) == 1 and "is no request to stop" in told[0]


@pytest.mark.real
def test_an_hdfs_that_is_away_holds_up_neither_the_run_nor_its_end(monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", "/nowhere")
    told: list[str] = []
    folder = open_folder("hdfs://127.0.0.1:1/run", {"dfs.namenode.http-address": "127.0.0.1:1"})
    begun = time.monotonic()
    with StatusWriter(folder, dict, RunLog(), told.append, "token"):
        until(lambda: told)
    assert time.monotonic() - begun < 2 and "no NameNode answers" in told[0]


def test_a_run_stands_where_its_slowest_worker_is():
    standing = RunProgress()
    assert standing.content() == {"phase": ""}
    standing.step("reading parquet files")
    assert standing.content() == {"phase": "reading parquet files"} and standing.preparing()[0] == "reading parquet files"
    for part, rank in ((0, 1), (1, 0)):
        standing.message(part, Joined(rank, 10, 0, 100, 3, {}))
        standing.message(part, Phase("train"))
    standing.message(0, Phase("build"))
    assert standing.phase == "build" and standing.rank(0) == 1 and standing.preparing() is None
    standing.message(0, Progress(3, 5, 1, 40, 9_000, {"loss": 0.25}))
    standing.message(1, Progress(2, 5, 20, 40, 6_000, {"loss": float("nan")}))
    content = standing.content()
    assert content.pop("rows_per_second") > 0
    assert content == {"phase": "build", "epoch": 2, "of_epochs": 5, "step": 20, "of_steps": 40, "loss": None}
    standing.step("keeping the run")
    assert standing.content()["phase"] == "keeping the run"
