"""When a run whose driver was killed is gone on with, and by whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from sparktrain.config import Job
from sparktrain.runs import claimant
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.identity import NotTheSame, check_same, identity
from sparktrain.runs.json_text import write_json
from sparktrain.runs.log import RunLog
from sparktrain.runs.ownership import take_over
from sparktrain.runs.paths import IDENTITY, STATUS
from sparktrain.runs.records.run import End, Summary
from sparktrain.runs.status_writer import StatusWriter
from sparktrain.storage import ClaimLost, claims

SUMMARY = Summary(
    run="mine",
    status="finished",
    finished="2026-01-01T00:00:00+00:00",
    rows=1,
    epochs=1,
    workers=1,
    engine="single",
    attempts=1,
    metrics={},
)
JOB = {
    "data": {"path": "hdfs:///rows", "features": ["x"], "label": "y"},
    "model": {"build": "mine:build"},
    "training": {"workers": 2, "batch_size": 8},
    "output": {"path": "hdfs:///models"},
}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(f"file://{tmp_path}", "mine", {})


def begun(url, **differs) -> RunFolder:
    """Another driver's claim, as it would look from this process."""
    other = RunFolder(url, "mine", {})
    other.claim({"application": "app-1"})
    found = claims.owner(other.staged)[1]
    other.staged.write_text(claims.claim_name(1), json.dumps(found | differs))
    return other


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


quick = partial(take_over, silent=0.5)


def test_what_a_killed_driver_left_on_this_machine_is_taken_over_at_once_and_only_once(folder, gone):
    begun(folder.root.url, pid=gone)
    assert folder.claim({"application": "app-2"}, take_over).startswith("app-1 on ")
    assert claims.owner(folder.staged)[1]["application"] == "app-2"
    with pytest.raises(RunTaken, match="app-2"):
        RunFolder(folder.root.url, "mine", {}).claim({"application": "app-3"}, take_over)


def test_a_driver_that_lives_is_left_alone(folder):
    begun(folder.root.url, pid=os.getppid(), since="2999-01-01T00:00:00+00:00")
    with pytest.raises(RunTaken, match="app-1"):
        folder.claim({"application": "app-2"}, take_over)


def test_a_process_that_has_got_the_number_since_is_another(folder):
    begun(folder.root.url, pid=os.getppid(), since="2000-01-01T00:00:00+00:00")
    assert folder.claim({"application": "app-2"}, take_over)


def test_a_run_of_this_very_process_that_is_over_is_taken_over(folder):
    other = begun(folder.root.url)
    with pytest.raises(RunTaken):
        folder.claim({}, take_over)
    claimant.HELD_TOKENS.discard(other.token)  # as its end does, whatever the storage makes of the rest
    assert folder.claim({}, take_over)


@pytest.mark.parametrize("machine", ["another boot", None])
def test_a_driver_elsewhere_is_dead_only_if_it_gives_no_sign_whatever_its_clock_says(folder, machine, gone):
    """Containers may share a host's name and not its processes, so a number that is not here says nothing."""
    notes = []
    other = begun(folder.root.url, machine=machine, pid=gone, since="2000-01-01T00:00:00+00:00")
    other.staged.write_text(STATUS, json.dumps({"updated": "2000-01-01T00:00:00+00:00"}))

    def lives() -> None:
        for number in range(20):
            other.staged.write_text(STATUS, json.dumps({"updated": "2000-01-01T00:00:00+00:00", "step": number}))
            time.sleep(0.05)

    living = threading.Thread(target=lives)
    living.start()
    try:
        with pytest.raises(RunTaken, match="app-1"):
            folder.claim({"application": "app-2"}, partial(take_over, note=notes.append, silent=60))
    finally:
        living.join()
    assert "app-1" in notes[0] and "60 s" in notes[0]
    assert folder.claim({"application": "app-2"}, quick)


def test_of_many_who_try_one_goes_on(folder, gone):
    begun(folder.root.url, pid=gone)
    claims_of = [RunFolder(folder.root.url, "mine", {}) for _ in range(8)]
    together, won = threading.Barrier(len(claims_of)), []

    def attempt(mine: RunFolder) -> None:
        together.wait(10)
        try:
            mine.claim({}, quick)
            won.append(mine)
        except RunTaken:
            pass

    threads = [threading.Thread(target=attempt, args=(mine,)) for mine in claims_of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1 and claims.holds(folder.staged, won[0].token)


def test_a_driver_that_is_killed_as_it_takes_a_run_over_can_be_followed_in_turn(folder, gone):
    begun(folder.root.url, pid=gone)
    folder.claim({"application": "app-2"}, take_over)
    second = claims.owner(folder.staged)[1] | {"pid": gone}
    folder.staged.write_text(claims.claim_name(2), json.dumps(second))
    third = RunFolder(folder.root.url, "mine", {})
    assert third.claim({"application": "app-3"}, take_over).startswith("app-2 on ")


def test_who_was_taken_for_dead_and_is_not_touches_nothing(folder, gone):
    loser = begun(folder.root.url, pid=gone)
    loser.staged.write_text("model.keras", "the loser's")
    loser.staged.write_text("summary.json", "{}")
    folder.claim({"application": "app-2"}, take_over)
    folder.staged.write_text("model.keras", "the winner's")
    for act in (loser.check, loser.publish, lambda: loser.complete(SUMMARY, "")):
        with pytest.raises(ClaimLost, match="app-2"):
            act()
    loser.discard()
    assert folder.staged.read_text("model.keras") == "the winner's" and not folder.final.exists()
    report = StatusWriter(loser.staged, lambda: {"phase": "train"}, RunLog(), pytest.fail, loser.token)
    with report:
        deadline = time.monotonic() + 10
        while report.lost is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert isinstance(report.lost, ClaimLost) and not folder.staged.exists(STATUS)
    folder.complete(SUMMARY, "log")
    folder.publish()
    assert folder.final.read_text("model.keras") == "the winner's" and not folder.staged.exists()
    assert sorted(folder.final.list()) == ["logs", "model.keras", "summary.json"]


def test_a_run_that_was_cut_off_as_it_was_published_is_published_by_the_same_command(folder, gone):
    other = begun(folder.root.url, pid=gone)
    other.staged.write_text("model.keras", "trained")
    other.staged.write_text("checkpoints/000001-0000000000-of-1.npz", "x")
    write_json(other.staged, "summary.json", {"finished": "2026-01-01T00:00:00+00:00"})
    assert folder.claim({}, take_over) and folder.is_complete()
    folder.publish()
    assert sorted(folder.final.list()) == ["model.keras", "summary.json"] and not folder.root.join("_runs").list()


def test_what_a_run_has_come_to_stays_for_who_resumes_it(folder):
    folder.claim({})
    assert not folder.has_work()
    folder.staged.write_text("checkpoints/000001-0000000000-of-1.npz", "x")
    assert folder.has_work()
    folder.end(End(run="mine", status="stopped", finished="2026-01-01T00:00:00+00:00"), "")
    folder.release()
    again = RunFolder(folder.root.url, "mine", {})
    assert again.claim({}) == "it stopped at 2026-01-01T00:00:00+00:00"
    assert again.has_work() and not again.root.join("_ended").list()


def test_the_weights_of_a_model_that_can_not_be_saved_are_not_thrown_away(folder):
    folder.claim({})
    folder.staged.write_text("model.weights.h5", "x")
    assert folder.has_work()


def test_a_run_is_gone_on_with_only_as_what_it_was_begun_as(folder):
    files = [{"path": "hdfs:///rows/a", "length": 5}, {"path": "hdfs:///rows/b", "length": 6}]
    given = {"model": "11", "frame": "22"}
    mine = identity(Job.from_mapping(JOB).model_dump(mode="json"), {"mine.py": "aa"}, files, given)
    check_same(folder, mine)
    check_same(folder, mine)
    more = JOB | {"training": {"workers": 3, "batch_size": 8, "max_failures": 3}, "cluster": {"slots_timeout": 5}}
    check_same(folder, identity(Job.from_mapping(more).model_dump(mode="json"), {"mine.py": "aa"}, files, given))
    other = JOB | {"training": {"workers": 2, "batch_size": 4}}
    for differs, told in (
        (
            identity(Job.from_mapping(other).model_dump(mode="json"), {"mine.py": "aa"}, files, given),
            "configuration training batch_size was 8 and is 4",
        ),
        (
            identity(Job.from_mapping(JOB).model_dump(mode="json"), {"mine.py": "bb"}, files, given),
            "code mine.py was 'aa' and is 'bb'",
        ),
        (
            identity(Job.from_mapping(JOB).model_dump(mode="json"), {"mine.py": "aa"}, files[:1], given),
            "1 input files differ, hdfs:///rows/b among them",
        ),
        (
            identity(Job.from_mapping(JOB).model_dump(mode="json"), {"mine.py": "aa"}, files, given | {"model": "33"}),
            "the model that the program hands over is",
        ),
        (
            identity(Job.from_mapping(JOB).model_dump(mode="json"), {"mine.py": "aa"}, files, {"model": "11"}),
            "the frame that the program hands over is another",
        ),
    ):
        with pytest.raises(NotTheSame) as caught:
            check_same(folder, differs)
        assert told in str(caught.value) and "another --run-id" in str(caught.value)
    assert json.loads(folder.staged.read_text(IDENTITY)) == {**mine, "version": 1}
    older = json.loads(json.dumps(mine))  # as a version wrote it that had fewer keys
    del older["configuration"]["model"]["args"], older["configuration"]["seed"], older["given"]
    write_json(folder.staged, IDENTITY, older)
    check_same(folder, mine)
