"""`sparktrain runs stop` and `wait`, by the files on the storage alone."""

from __future__ import annotations

import json
import threading
import time

import pytest

from sparktrain.cli.command import main
from sparktrain.runs import follow, stopping
from sparktrain.runs.claimant import HELD_TOKENS
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.json_text import now
from sparktrain.runs.records.run import End, Stop, Summary

WHO = {"application": "app-1", "user": "ann"}


@pytest.fixture
def claimed(tmp_path):
    """A run at work: its folder, and its URL."""
    folder = RunFolder(f"file://{tmp_path}", "one", {})
    folder.claim(WHO)
    yield folder, f"file://{tmp_path}/one"
    HELD_TOKENS.discard(folder.token)


def ended(folder: RunFolder) -> None:
    folder.end(End(run="one", status="failed", reason="a worker failed", finished=now()), "log")
    folder.release()


def finished(folder: RunFolder) -> None:
    numbers = dict(rows=1, epochs=1, workers=1, engine="single", attempts=1, metrics={}, wall=1.0)
    folder.complete(Summary(run="one", status="finished", finished=now(), **numbers), "log")
    folder.publish()


@pytest.mark.parametrize("words, at_once", [([], False), (["--now"], True)])
def test_a_running_run_finds_the_request_in_its_folder_and_the_user_the_next_command(claimed, capsys, words, at_once):
    folder, url = claimed
    assert main(["runs", "stop", url, *words]) == 0
    request = Stop.model_validate_json(folder.staged.read_text("stop.json"))
    assert request.now is at_once and request.user and request.host and request.version == 1
    told = capsys.readouterr()
    assert told.out == "" and f"`sparktrain runs wait {url}`" in told.err and "asked run one to stop" in told.err


def test_a_run_that_has_ended_or_never_was_is_not_asked_and_nothing_is_left(claimed, tmp_path, capsys):
    folder, url = claimed
    for name, told in (("another", "not a finished run"), ("latest", "name the run to stop")):
        assert main(["runs", "stop", f"file://{tmp_path}/{name}"]) == 1
        assert told in capsys.readouterr().err
    ended(folder)
    assert main(["runs", "stop", url]) == 1
    assert "ended already, failed: a worker failed" in capsys.readouterr().err
    folder.claim(WHO)
    finished(folder)
    assert main(["runs", "stop", url]) == 1
    assert "has finished, and its model is at" in capsys.readouterr().err
    assert not list(tmp_path.rglob("stop.json"))


@pytest.mark.parametrize("end, left", [(finished, False), (ended, True)])
def test_a_request_that_comes_as_the_run_ends_is_taken_back(claimed, tmp_path, monkeypatch, capsys, end, left):
    folder, url = claimed
    folder.staged.write_text("checkpoints/000001-0000000000-1.npz", "x")
    reads = []

    def find_run(url):
        reads.append(url)
        if len(reads) == 2:
            end(folder)
            folder.staged.write_text("stop.json", "{}")  # as if it had been written only now
        return found(url)

    found = stopping.find_run
    monkeypatch.setattr(stopping, "find_run", find_run)
    assert main(["runs", "stop", url]) == 1 and "can't be stopped" in capsys.readouterr().err
    assert not list(tmp_path.rglob("stop.json")) and folder.staged.exists() == left


def test_a_resumed_run_does_not_find_an_old_request(claimed):
    folder, url = claimed
    assert main(["runs", "stop", url]) == 0
    folder.staged.write_text("checkpoints/000001-0000000000-1.npz", "x")
    ended(folder)
    folder.claim(WHO)
    assert not folder.staged.exists("stop.json") and folder.has_work()


def test_a_run_without_a_sign_of_life_is_warned_of(claimed, monkeypatch, capsys):
    _, url = claimed
    for each in (follow, stopping):
        monkeypatch.setattr(each, "SILENT", -1.0)
    assert main(["runs", "stop", url]) == 0 and "may have been killed" in capsys.readouterr().err
    assert main(["runs", "wait", url, "--timeout", "0.1"]) == 124
    told = capsys.readouterr()
    assert told.out == "" and "may have been killed" in told.err and "running still after 0.1 s" in told.err


@pytest.mark.parametrize("end, status, code", [(finished, "finished", 0), (ended, "failed", 1)])
def test_a_wait_prints_the_json_line_of_the_end(claimed, monkeypatch, capsys, end, status, code):
    folder, url = claimed
    monkeypatch.setattr(follow, "_EVERY", 0.05)
    later = threading.Timer(0.5, end, [folder])
    later.start()
    begun = time.monotonic()
    assert main(["runs", "wait", url, "--timeout", "60"]) == code
    assert 0.4 < time.monotonic() - begun < 30
    assert json.loads(capsys.readouterr().out)["status"] == status
    later.join()


def test_a_wait_for_a_run_that_is_not_there_says_so(tmp_path, capsys):
    assert main(["runs", "wait", f"file://{tmp_path}/none"]) == 1
    assert "not a finished run" in capsys.readouterr().err
