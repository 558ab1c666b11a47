"""A search on the storage: what must be the same to resume it, its best run by one rename, and what is removed after 30 days."""

from __future__ import annotations

import json
import os
import time

import pytest

from sparktrain.runs.finished import latest
from sparktrain.runs.folder import RunTaken
from sparktrain.runs.identity import NotTheSame
from sparktrain.runs.records.search import SearchRecord
from sparktrain.search.search_folder import SearchFolder
from sparktrain.search.trials import new_trial, write_trial

RECORD = SearchRecord(job={"seed": 7}, space={"seed": {"choice": [1, 2]}}, goal={"mode": "max"}, sampler="random", seed=7)


@pytest.fixture(params=["", "local://"])
def search(request, tmp_path) -> SearchFolder:
    """A claimed search, on a disk with and without the use of its renames."""
    folder = SearchFolder(f"{request.param}{tmp_path}/models", "mine", {})
    folder.claim({"user": "me"})
    return folder


def test_a_search_resumes_only_as_it_was_begun(search):
    assert not search.has_work()
    search.check_same(RECORD)
    search.check_same(RECORD)
    assert search.has_work()
    with pytest.raises(
        NotTheSame, match=r"search 'mine' was begun as another one .*space seed choice was .*sampler was 'random' and is 'grid'"
    ):
        search.check_same(RECORD.model_copy(update={"space": {"seed": {"choice": [1]}}, "sampler": "grid"}))


def test_the_best_trial_s_run_becomes_the_search_s(search):
    trial = new_trial(3, {"seed": 2})
    run = search.place.join("trials", trial.run)
    for name, content in {
        "model.keras": "weights",
        "job.yaml": "trial's",
        "lineage.json": json.dumps({"run": trial.run, "seed": 2}),
        "summary.json": json.dumps({"run": trial.run, "finished": "2020-01-01T00:00:00+00:00", "rows": 5, "wall": 1.0}),
    }.items():
        run.write_text(name, content)
    search.publish_best(trial, "the search's", {"trial": 3}, {"trials.csv": b"table"}, 12.3456)
    final = search.final
    assert json.loads(final.read_text("lineage.json")) == {"run": "mine", "seed": 2, "search": {"trial": 3}}
    summary = search.finished_summary()
    assert (summary["run"], summary["rows"], summary["wall"]) == ("mine", 5, 12.346) and summary["finished"] > "2026"
    assert (final.read_text("job.yaml"), final.read_text("search/trials.csv")) == ("the search's", "table")
    assert final.read_text("model.keras") == "weights" and not run.exists() and latest(search.root) == "mine"


def test_searches_that_ended_without_a_model_are_removed_after_30_days(tmp_path):
    folder = SearchFolder(str(tmp_path), "mine", {})
    folder.claim({"user": "me"})
    for name in ("mine", "finished", "old", "new"):
        write_trial(folder.root.join("_searches", name), new_trial(0, {}))
    (tmp_path / "finished").mkdir()
    for name in ("mine", "finished", "old"):
        os.utime(tmp_path / "_searches" / name, (time.time() - 31 * 86400,) * 2)
    folder.forget_old()
    assert folder.root.join("_searches").list() == ["finished", "mine", "new"]


def test_the_id_of_a_run_is_not_taken_for_a_search(tmp_path):
    folder = SearchFolder(str(tmp_path), "mine", {})
    assert folder.finished_search() is None
    folder.staged.write_text("identity.json", "{}")
    with pytest.raises(RunTaken, match="a run of the job, which has not ended. Choose another id"):
        folder.check_same(RECORD)
    folder.final.write_text("summary.json", "{}")
    with pytest.raises(RunTaken, match="a finished run of the job"):
        folder.finished_search()
