"""When a run whose driver was killed is gone on with, and by whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from sparktrain.config import Job
from sparktrain.driver.output import RUNNING, STATUS, RunFolder, RunTaken
from sparktrain.driver.takeover import IDENTITY, NotTheSame, check_same, identity, take_over

JOB = {"data": {"path": "hdfs:///rows", "features": ["x"], "label": "y"}, "model": {"build": "mine:build"},
       "training": {"workers": 2, "batch_size": 8}, "output": {"path": "hdfs:///models"}}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(f"file://{tmp_path}", "mine", {})


def begun(folder, pid=None, host=None, ago=60.0, sign=None) -> dict:
    """As another driver has left it: its process, its host, seconds since it began and since its last sign."""
    folder.claim({"application": "app-1"})
    other = json.loads(folder.staged.read_text(RUNNING))
    since = datetime.now(timezone.utc) - timedelta(seconds=ago)
    other |= {"since": since.isoformat(), "pid": pid or os.getpid()} | ({"host": host} if host else {})
    folder.staged.write_text(RUNNING, json.dumps(other))
    if sign is not None:
        updated = datetime.now(timezone.utc) - timedelta(seconds=sign)
        folder.staged.write_text(STATUS, json.dumps({"updated": updated.isoformat()}))
    return other


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_driver_left_on_this_machine_is_taken_over_once(folder, gone):
    begun(folder, pid=gone)
    told = folder.claim({"application": "app-2"}, take_over)
    assert told.startswith("app-1 on ") and json.loads(folder.staged.read_text(RUNNING))["application"] == "app-2"
    with pytest.raises(RunTaken, match="app-2"):
        folder.claim({"application": "app-3"}, take_over)
    assert folder.staged.list() == [RUNNING]


def test_a_driver_that_lives_is_left_alone(folder, tmp_path):
    folder.claim({"application": "app-1"})
    with pytest.raises(RunTaken, match="app-1"):
        folder.claim({"application": "app-2"}, take_over)


def test_a_process_that_has_got_the_number_since_is_another(folder):
    begun(folder, pid=os.getpid(), ago=3600 * 24 * 365)
    assert take_over(folder, {"application": "app-2"}) is not None


@pytest.mark.parametrize("ago, sign, dead", [(60, None, False), (900, None, True), (9000, 60, False), (9000, 301, True)])
def test_on_another_machine_silence_tells(folder, ago, sign, dead):
    begun(folder, host="elsewhere", ago=ago, sign=sign)
    assert (take_over(folder, {"application": "app-2"}) is not None) == dead


def test_of_two_who_try_one_goes_on(folder, gone, monkeypatch):
    begun(folder, pid=gone)
    before = folder.staged.read_text(RUNNING)
    claim = type(folder.staged).claim

    def slow(self, name, data):   # the other one is through by the time this one gets on
        if name.startswith(f"{RUNNING}."):
            monkeypatch.undo()
            assert take_over(folder, {"application": "faster"}) is not None
        return claim(self, name, data)

    monkeypatch.setattr(type(folder.staged), "claim", slow)
    assert take_over(folder, {"application": "slower"}) is None
    assert json.loads(folder.staged.read_text(RUNNING)) == {"application": "faster"} and before


def test_a_run_is_gone_on_with_only_as_what_it_was_begun_as(folder):
    files = [{"path": "hdfs:///rows/a", "length": 5}, {"path": "hdfs:///rows/b", "length": 6}]
    mine = identity(Job.from_mapping(JOB), {"mine.py": "aa"}, files)
    check_same(folder, mine)
    check_same(folder, mine)
    more = JOB | {"training": {"workers": 3, "batch_size": 8, "max_failures": 3}, "cluster": {"slots_timeout": 5}}
    check_same(folder, identity(Job.from_mapping(more), {"mine.py": "aa"}, files))
    other = JOB | {"training": {"workers": 2, "batch_size": 4}}
    for differs, told in (
        (identity(Job.from_mapping(other), {"mine.py": "aa"}, files), "configuration training batch_size was 8 and is 4"),
        (identity(Job.from_mapping(JOB), {"mine.py": "bb"}, files), "code mine.py was 'aa' and is 'bb'"),
        (identity(Job.from_mapping(JOB), {"mine.py": "aa"}, files[:1]), "1 input files differ, hdfs:///rows/b among them"),
    ):
        with pytest.raises(NotTheSame) as caught:
            check_same(folder, differs)
        assert told in str(caught.value) and "another --run-id" in str(caught.value)
    assert json.loads(folder.staged.read_text(IDENTITY)) == mine
