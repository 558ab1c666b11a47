"""Which runs are seen, in which order, and where `latest` leads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from sparktrain.runs.finished import latest, newest, resolve
from sparktrain.storage import NotFound, open_folder
from sparktrain.storage.local import LocalStore
from sparktrain.storage.objects import ObjectStore


def complete_runs(folder) -> list[str]:
    return [run["run"] for run in newest(folder, 100)]


def _run(folder, run: str, finished: str) -> None:
    folder.write_text(f"_runs/{run}/summary.json", json.dumps({"finished": finished}))
    folder.publish(f"_runs/{run}", run)


def test_latest_is_the_run_that_finished_last_whatever_its_name(folder, reopen):
    assert complete_runs(folder) == []
    _run(folder, "b", "2025-03-01T10:00:00+00:00")
    _run(folder, "z", "2025-03-01T09:59:59.5+00:00")
    _run(folder, "a", "2025-03-01T11:30:00+02:00")  # half past nine in UTC
    _run(folder, "m", "2025-03-01T10:00:01Z")
    assert complete_runs(reopen()) == ["m", "b", "z", "a"]
    assert latest(folder) == "m"
    assert resolve(f"{folder.url}/latest") == f"{folder.url}/m"
    assert resolve(f"{folder.url}/b/") == f"{folder.url}/b"


def test_what_is_not_a_complete_run_is_not_seen(folder):
    done = json.dumps({"finished": "2025-03-01T10:00:00+00:00"})
    folder.write_text("_runs/one/summary.json", done)  # complete, not published
    folder.write_text("_runs/summary.json", done)
    folder.write_text("copied/model.keras", "half")  # being copied to its place
    folder.write_text("other/summary.json", "{}")  # another program's
    folder.write_text("broken/summary.json", "{'")
    folder.write_text("notes.txt", "a file")
    assert complete_runs(folder) == []
    with pytest.raises(NotFound, match="no finished run"):
        resolve(f"{folder.url}/latest")
    with pytest.raises(NotFound, match="copied: not a finished run"):
        resolve(f"{folder.url}/copied")


def test_a_wrong_run_is_refused_with_the_runs_there_are(folder):
    _run(folder, "2025-03-01-nightly", "2025-03-01T10:00:00+00:00")
    with pytest.raises(NotFound, match=": 2025-03-01-nightly, or `latest`"):
        resolve(f"{folder.url}/2025-03-01-nightli")
    _parent, _, name = folder.url.rpartition("/")
    with pytest.raises(NotFound, match=f"It holds runs: .*{name}/latest"):
        resolve(folder.url)


@pytest.mark.parametrize("runs", [30, 300])
@pytest.mark.parametrize("store, scheme, timed", [(LocalStore, "file", ""), (ObjectStore, "local", "summary.json")])
def test_the_latest_of_many_runs_costs_no_more_than_of_few(tmp_path, monkeypatch, runs, store, scheme, timed):
    folder = open_folder(f"{scheme}://{tmp_path}/models")
    for number in range(runs):
        time = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        _run(folder, f"run-{(number * 7) % runs}", time.isoformat())
        os.utime(tmp_path / "models" / f"run-{(number * 7) % runs}" / timed, (time.timestamp() + 5,) * 2)
    reads = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda self, path: reads.append(path) or read(self, path))
    assert latest(folder) == f"run-{((runs - 1) * 7) % runs}" and len(reads) <= 2
    assert complete_runs(folder)[:3] == [f"run-{((runs - each) * 7) % runs}" for each in (1, 2, 3)]
    reads.clear()
    assert len(newest(folder, 10)) == 10 and len(reads) <= 11


def test_a_folder_that_was_touched_later_is_not_taken_for_the_latest(tmp_path):
    folder = open_folder(str(tmp_path / "models"))
    _run(folder, "older", "2025-01-01T00:00:00Z")
    _run(folder, "newer", "2025-01-02T00:00:00Z")
    os.utime(tmp_path / "models" / "newer", (datetime(2025, 1, 2, tzinfo=UTC).timestamp(),) * 2)
    assert latest(folder) == "newer"
