"""The trials of a search: their records, the best of them, their table and pictures."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sparktrain.config import Goal, Range, Search
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.importance import importance
from sparktrain.search.pictures import best_so_far
from sparktrain.search.results import result_files
from sparktrain.search.search_run import trial_line
from sparktrain.search.table import markdown, ranked, rich_table, table_csv
from sparktrain.search.trials import best, counts, new_trial, read_trials, write_trial

SPACE = {"model.args.units": Range(int=[1, 64], log=True), "training.batch_size": Range(choice=[32, 64])}


def trial(number, value=None, state="finished", units=8, size=32, **more) -> TrialRecord:
    parameters = {"model.args.units": units, "training.batch_size": size}
    return TrialRecord(number=number, state=state, parameters=parameters, run=f"trial-{number:04d}", value=value, **more)


TRIALS = [
    trial(0, 0.7, units=4, epochs=2),
    trial(1, state="failed", reason="rank 0 | KeyError: 'x'\nmore", size=64),
    trial(2, 0.9, units=16, epochs=2),
    trial(3, 0.95, state="stopped", units=64, epochs=1, size=64),
    trial(4, 0.9, units=32, epochs=2),
]


def test_the_best_is_a_finished_one_and_of_equal_ones_the_first():
    assert best(TRIALS, "max") is TRIALS[2] and best(TRIALS, "min") is TRIALS[0]
    assert best([TRIALS[1], TRIALS[3]], "max") is TRIALS[3]
    assert best([TRIALS[1], trial(5, float("nan"))], "max") is None
    assert counts(TRIALS) == {"finished": 3, "stopped": 1, "failed": 1}


def test_records_are_read_as_they_were_written(folder):
    assert read_trials(folder) == []
    for each in (new_trial(1, {"a": [1, "b", None]}), TRIALS[0]):
        write_trial(folder, each)
    assert [each.content() for each in read_trials(folder)] == [
        TRIALS[0].content(),
        new_trial(1, {"a": [1, "b", None]}).content(),
    ]


def test_the_table_has_the_best_first_and_reasons_on_one_line():
    assert [each.number for each in ranked(TRIALS, "max")] == [2, 4, 0, 3, 1]
    lines = markdown(TRIALS, "val_auc", "max").splitlines()
    assert lines[0] == "| trial | state | val_auc | units | batch_size | epochs | seconds | reason |"
    assert lines[2] == "| 2 | finished | 0.9000 | 16 | 32 | 2 | 0.0 |  |"
    assert lines[-1] == "| 1 | failed |  | 8 | 64 |  | 0.0 | rank 0 \\| KeyError: 'x' |"
    console = Console(file=io.StringIO(), width=200)
    console.print(rich_table(TRIALS, "val_auc", "max"))
    assert "KeyError" in console.file.getvalue()


def test_every_trial_is_a_line_of_the_csv():
    lines = list(csv.DictReader(io.StringIO(table_csv(TRIALS, "val_auc", "max"))))
    assert [(line["trial"], line["best"], line["val_auc"], line["model.args.units"]) for line in lines][1:3] == [
        ("1", "0", "", "8"),
        ("2", "1", "0.9", "16"),
    ]
    assert lines[1]["reason"].endswith("more")


def test_the_files_of_a_search_have_pictures():
    search = Search(space=SPACE, goal=Goal(metric="val_auc", mode="max"))
    files = result_files(TRIALS, search, "mine", "log", pytest.fail)
    assert {"trials.json", "trials.csv", "trials.md", "run.log", "history.png", "parallel.png"} <= files.keys()
    assert all(content.startswith(b"\x89PNG") for name, content in files.items() if name.endswith(".png"))
    assert b"![history](history.png)" in files["trials.md"]


def test_a_search_whose_pictures_can_t_be_drawn_says_so(monkeypatch):
    monkeypatch.setattr("sparktrain.search.results.pictures", lambda *args: 1 / 0)
    notes: list[str] = []
    files = result_files(TRIALS, Search(space=SPACE, goal=Goal(metric="a", mode="max")), "mine", "", notes.append)
    assert "trials.csv" in files and "ZeroDivisionError" in notes[0]


def test_what_matters_has_the_larger_share():
    parameters = [{"a": a, "b": b} for a in range(8) for b in ("x", "y")]
    shares = importance(parameters, [each["a"] ** 2 + 0.1 * (each["b"] == "x") for each in parameters])
    assert list(shares) == ["a", "b"] and shares["a"] > 0.8 and shares["b"] < 0.1
    assert importance(parameters[:2], [1.0, 2.0]) == {} and importance(parameters, [1.0] * 16) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.floats(-1e3, 1e3)), max_size=30))
def test_a_share_lies_between_0_and_1(trials):
    shares = importance([{"a": a, "b": b} for a, b, _ in trials], [value for *_, value in trials])
    assert all(0 <= share <= 1 for share in shares.values())


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_the_best_so_far_is_that_of_all_before(values):
    assert best_so_far(values, "max") == [max(values[: end + 1]) for end in range(len(values))]
    assert best_so_far(values, "min") == [min(values[: end + 1]) for end in range(len(values))]


def test_a_line_says_how_a_trial_has_ended():
    assert trial_line(TRIALS[2], "val_auc", True) == "trial 2: val_auc 0.9000 (the best so far) · units 16, batch_size 32 · 0 s"
    assert trial_line(TRIALS[1], "val_auc", False) == "trial 1 failed (units 8, batch_size 64): rank 0 | KeyError: 'x'"
    assert "stopped after 1 epoch" in trial_line(TRIALS[3], "val_auc", False)
