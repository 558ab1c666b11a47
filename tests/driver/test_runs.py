"""`sparktrain runs`: what an operator sees of an output folder."""

from __future__ import annotations

import json

import pytest

from sparktrain.driver.command_line import main
from sparktrain.driver.output import RunFolder

SUMMARY = {
    "status": "finished", "engine": "horovod", "workers": 2, "rows": 80_000, "validation_rows": 9_000, "epochs": 5,
    "wall": 66.6, "rows_per_second": 9_000.0, "seconds": {"train": 40.0}, "held_back_by": "train",
    "metrics": {"val_auc": 0.76668}, "notes": ["a note [with brackets]"],
}
ORIGIN = {
    "inputs": [{"path": "hdfs://x/1", "length": 1_000_000, "modified": 0}], "seed": 7, "user": "ada",
    "application": "app-1", "versions": {"keras": "3.15.1"}, "parent": "hdfs://x/models/before",
    "classes_after_sampling": {"late": 40_000},
}


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Two finished runs, and one at work."""
    monkeypatch.setenv("COLUMNS", "200")
    url = f"file://{tmp_path}/models"
    for run, finished in (("older", "2026-01-01T00:00:00+00:00"), ("newer", "2026-01-02T00:00:00+00:00")):
        folder = RunFolder(url, run, {})
        folder.claim({})
        folder.write_json("lineage.json", ORIGIN)
        folder.publish({**SUMMARY, "run": run, "finished": finished}, "")
    RunFolder(url, "now", {}).claim({"application": "app-2", "user": "grace"})
    return url


def test_a_list_has_runs_at_work_and_finished_ones_the_last_first(output, capsys):
    assert main(["runs", "list", output, "--json"]) == 0
    runs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(run["run"], run["status"]) for run in runs] == [
        ("now", "running"), ("newer", "finished"), ("older", "finished")]
    assert main(["runs", "list", output, "--most", "1"]) == 0
    shown = capsys.readouterr().out
    for word in ("grace", "app-2", "newer", "horovod", "80,000", "val_auc 0.7667"):
        assert word in shown
    assert "older" not in shown


def test_an_output_folder_that_is_not_there_has_no_runs(tmp_path, capsys):
    assert main(["runs", "list", f"file://{tmp_path}/none", "--json"]) == 0
    assert capsys.readouterr().out.strip() == ""


def test_a_run_shows_its_numbers_and_where_its_model_comes_from(output, capsys):
    assert main(["runs", "show", f"{output}/latest"]) == 0
    shown = capsys.readouterr().out
    for word in ("run newer", "0.7667", "a note [with brackets]", "1 files, 1,000,000 bytes", "ada", "keras 3.15.1",
                 "hdfs://x/models/before", "late: 40,000"):
        assert word in shown, shown
    assert main(["runs", "show", f"{output}/older", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["run"] == "older" and told["lineage"] == ORIGIN


def test_a_run_that_is_not_finished_is_refused_with_those_there_are(output, capsys):
    assert main(["runs", "show", f"{output}/newr"]) == 1
    assert "newer" in capsys.readouterr().err
