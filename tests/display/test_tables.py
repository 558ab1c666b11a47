"""`sparktrain runs`: what an operator sees of an output folder."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from sparktrain.cli.command import main
from sparktrain.runs import follow
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.json_text import write_json
from sparktrain.runs.log import RunLog
from sparktrain.runs.records.run import End, Summary
from sparktrain.runs.result import Result
from sparktrain.storage import claims

SUMMARY = {
    "status": "finished",
    "engine": "horovod",
    "workers": 2,
    "rows": 80_000,
    "validation_rows": 9_000,
    "epochs": 5,
    "attempts": 1,
    "wall": 66.6,
    "rows_per_second": 9_000.0,
    "seconds": {"train": 40.0},
    "held_back_by": "train",
    "metrics": {"val_auc": 0.76668},
    "notes": ["a note [with brackets]"],
}
ORIGIN = {
    "inputs": [{"path": "hdfs://x/1", "length": 1_000_000, "modified": 0}],
    "seed": 7,
    "user": "ada",
    "application": "app-1",
    "versions": {"keras": "3.15.1"},
    "parent": "hdfs://x/models/before",
    "classes_after_sampling": {"late": 40_000},
}
STATUS = {
    "run": "now",
    "output": None,
    "status": "running",
    "rows": 1_000,
    "epochs": 1,
    "workers": 2,
    "engine": "single",
    "attempts": 1,
    "seconds": 9.0,
    "metrics": {"loss": 0.5, "auc": None},
    "phase": "train",
    "epoch": 2,
    "of_epochs": 5,
    "step": 3,
    "of_steps": 40,
    "rows_per_second": 1234.5,
    "loss": None,
}
FAILED = Result(
    run="bad",
    status="failed",
    workers=2,
    engine="single",
    attempts=1,
    seconds=3.2,
    reason="rank 1 on node: KeyError: [its reason]\nand more of it",
)


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Two finished runs, one that failed between them, and one at work."""
    monkeypatch.setenv("COLUMNS", "200")
    url = f"file://{tmp_path}/models"
    for run, finished in (("older", "2026-01-01T00:00:00+00:00"), ("newer", "2026-01-02T00:00:00+00:00")):
        folder = RunFolder(url, run, {})
        folder.claim({})
        write_json(folder.staged, "lineage.json", ORIGIN)
        folder.complete(Summary(**{**SUMMARY, "run": run, "finished": finished}), "trained\n")
        folder.publish()
    bad = RunFolder(url, "bad", {})
    bad.claim({})
    record = {"finished": "2026-01-01T12:00:00+00:00", "traceback": "Traceback [1]", "application": "app-3"}
    bad.end(End(**FAILED.to_dict() | record), "it began\nit failed\n")
    bad.discard()
    RunFolder(url, "now", {}).claim({"application": "app-2", "user": "grace"})
    return url


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(follow, "_EVERY", 0.05)


def tell(output, **words) -> None:
    """What the run at work tells of itself."""
    told = {**STATUS, "updated": datetime.now(UTC).isoformat(), **words}
    RunFolder(output, "now", {}).staged.write_text("status.json", json.dumps(told))


def test_a_list_has_runs_at_work_and_finished_ones_the_last_first(output, capsys):
    assert main(["runs", "list", output, "--json"]) == 0
    runs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(run["run"], run["status"]) for run in runs] == [
        ("now", "running"),
        ("newer", "finished"),
        ("bad", "failed"),
        ("older", "finished"),
    ]
    assert runs[2]["reason"] == FAILED.reason and "traceback" not in runs[2]
    assert main(["runs", "list", output, "--most", "1"]) == 0
    shown = capsys.readouterr().out
    for word in ("grace", "app-2", "newer", "horovod", "80,000", "val_auc 0.7667"):
        assert word in shown
    assert "older" not in shown and "bad" not in shown
    assert main(["runs", "list", output]) == 0
    shown = capsys.readouterr().out
    assert "rank 1 on node: KeyError: [its reason]" in shown and "and more of it" not in shown


def test_a_list_of_little_width_breaks_no_id_and_no_word(output, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["runs", "list", output]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines[1:])
    assert any(line.startswith("now  running  ") for line in lines)
    assert "bad  failed  2026-01-01 12:00:00" in [line.rstrip() for line in lines]
    assert "    horovod, 2 workers, 80,000 rows, 5 epochs, 67 s" in [line.rstrip() for line in lines]
    assert "    rank 1 on node: KeyError: [its reason]" in [line.rstrip() for line in lines]


def test_a_finished_run_is_fetched_whole_or_a_file_of_it_and_nothing_is_replaced(output, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "fetch", f"{output}/latest"]) == 0 and capsys.readouterr().out == "newer\n"
    assert json.loads((tmp_path / "newer" / "summary.json").read_text())["run"] == "newer"
    assert (tmp_path / "newer" / "logs" / "run.log").read_text() == "trained\n"
    assert main(["runs", "fetch", f"{output}/newer"]) == 1 and "newer exists already" in capsys.readouterr().err
    assert main(["runs", "fetch", f"{output}/older", "--to", "mine", "--only", "lineage.json"]) == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["lineage.json"]
    assert main(["runs", "fetch", f"{output}/older", "--only", "model.keras"]) == 1
    assert "The run has lineage.json" in capsys.readouterr().err
    assert main(["runs", "fetch", f"{output}/bad"]) == 1 and "KeyError: [its reason]" in capsys.readouterr().err
    assert main(["runs", "fetch", f"{output}/now"]) == 1 and "is at work" in capsys.readouterr().err


def test_what_is_left_of_a_run_is_removed_and_a_finished_one_only_by_its_user_s_word(output, tmp_path, capsys):
    models = tmp_path / "models"
    assert main(["runs", "remove", f"{output}/now"]) == 1 and "stop it first" in capsys.readouterr().err
    assert (models / "_runs" / "now").exists()
    tell(output, updated="2026-01-01T00:00:00+00:00")  # killed long ago
    assert main(["runs", "remove", f"{output}/now"]) == 0 and not (models / "_runs" / "now").exists()
    (models / "_runs" / "bad" / "checkpoints").mkdir(parents=True)
    assert main(["runs", "remove", f"{output}/bad"]) == 0
    assert not (models / "_runs" / "bad").exists() and not (models / "_ended" / "bad").exists()
    for word in ("latest", "newer"):  # no one's guess, and nobody at the terminal
        assert main(["runs", "remove", f"{output}/{word}"]) == 1 and (models / "newer" / "summary.json").exists()
    assert "pass --yes" in capsys.readouterr().err
    assert main(["runs", "remove", f"{output}/newer", "--yes"]) == 0 and not (models / "newer").exists()
    assert main(["runs", "remove", f"{output}/newer", "--yes"]) == 1 and "older" in capsys.readouterr().err
    assert (models / "older").exists()


def test_a_list_says_how_far_a_run_at_work_is_and_whether_it_gives_a_sign(output, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    tell(output)
    assert main(["runs", "list", output]) == 0
    shown = capsys.readouterr().out
    assert "train · epoch 2/5 · step 3/40 · 1,234 rows/s (grace" in shown and "no sign" not in shown
    tell(output, loss=0.25, updated=(datetime.now(UTC) - timedelta(minutes=10)).isoformat())
    assert main(["runs", "list", output]) == 0
    assert "1,234 rows/s · loss 0.2500 · no sign for 10 min (grace" in capsys.readouterr().out
    assert main(["runs", "list", output, "--json"]) == 0
    [run, *_] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run["application"] == "app-2" and STATUS.items() <= (run | {"loss": None}).items()


def test_an_output_folder_that_is_not_there_has_no_runs(tmp_path, capsys):
    assert main(["runs", "list", f"file://{tmp_path}/none", "--json"]) == 0
    assert capsys.readouterr().out.strip() == ""


def test_a_run_shows_its_numbers_and_where_its_model_comes_from(output, capsys):
    assert main(["runs", "show", f"{output}/latest"]) == 0
    shown = capsys.readouterr().out
    for word in (
        "run newer",
        "0.7667",
        "a note [with brackets]",
        "1 files, 1,000,000 bytes",
        "ada",
        "keras 3.15.1",
        "hdfs://x/models/before",
        "late: 40,000",
    ):
        assert word in shown, shown
    assert main(["runs", "show", f"{output}/older", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["run"] == "older" and told["lineage"] == ORIGIN


def test_a_run_at_work_and_one_that_failed_are_shown_too(output, capsys):
    tell(output)
    assert main(["runs", "show", f"{output}/now"]) == 0
    shown = capsys.readouterr().out
    for word in ("run now", "running", "epoch 2/5", "loss 0.5000", "grace", "app-2"):
        assert word in shown, shown
    assert main(["runs", "show", f"{output}/now", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"]["phase"] == "train"
    assert main(["runs", "show", f"{output}/bad"]) == 0
    shown = capsys.readouterr().out
    for word in ("run bad", "failed", "KeyError: [its reason]", "and more of it", "Traceback [1]", "2026-01-01T12"):
        assert word in shown, shown
    assert main(["runs", "show", f"{output}/bad", "--json"]) == 0
    end = json.loads(capsys.readouterr().out)["end"]
    assert FAILED.to_dict().items() <= end.items() and end["traceback"] == "Traceback [1]"


def test_the_log_of_each_run_is_printed_and_followed_to_its_end(output, capsys):
    assert main(["runs", "tail", f"{output}/latest"]) == 0
    assert capsys.readouterr().out == "trained\n"
    assert main(["runs", "tail", f"{output}/newer", "-f"]) == 0
    log, line = capsys.readouterr().out.splitlines()
    assert log == "trained" and json.loads(line)["output"] == f"{output}/newer"
    assert main(["runs", "tail", f"{output}/bad"]) == 0
    assert capsys.readouterr().out.splitlines() == ["it began", "it failed"]
    assert main(["runs", "tail", f"{output}/bad", "--follow"]) == 1
    assert capsys.readouterr().out.splitlines() == ["it began", "it failed", FAILED.to_json()]
    assert main(["runs", "tail", f"{output}/now"]) == 0 and capsys.readouterr().out == ""
    assert main(["runs", "tail", f"{output}/nowhere"]) == 1 and "newer" in capsys.readouterr().err


@pytest.mark.parametrize("finishes", [True, False])
def test_a_run_at_work_is_followed_line_by_line_until_it_ends(output, capsys, quick, finishes):
    run, log = RunFolder(output, "now", {}), RunLog()
    run.token = claims.owner(run.staged)[1]["token"]
    tell(output, updated="2026-01-01T00:00:00+00:00")

    def work():
        for number in range(10):
            log.add(f"line {number}")
            run.staged.write_text("log.txt", log.text())
            time.sleep(0.03)
        log.add("the last")
        if finishes:
            run.complete(Summary(**{**SUMMARY, "run": "now", "finished": "2026-01-03T00:00:00+00:00"}), log.text())
            run.publish()
        else:
            run.end(End(**FAILED.to_dict(), finished="2026-01-03T00:00:00+00:00"), log.text())
            run.discard()

    worker = threading.Thread(target=work)
    worker.start()
    assert main(["runs", "tail", f"{output}/now", "-f"]) == (0 if finishes else 1)
    worker.join()
    told = capsys.readouterr()
    *lines, line = told.out.splitlines()
    assert [each.split(" ", 2)[2] for each in lines] == [*(f"line {number}" for number in range(10)), "the last"]
    assert json.loads(line)["status"] == ("finished" if finishes else "failed")
    assert told.err.count("no sign of the run") == 1


def test_a_run_that_is_not_finished_is_refused_with_those_there_are(output, capsys):
    assert main(["runs", "show", f"{output}/newr"]) == 1
    assert "newer" in capsys.readouterr().err
