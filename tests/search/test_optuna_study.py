"""Optuna's study on any storage: several writers, resumed, and brought up to what a killed driver had no time to report."""

from __future__ import annotations

import threading

import pytest

from sparktrain.config import ConfigError, Goal, Range, Search
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.choosing import proposals_of, sampler_of
from sparktrain.search.trials import new_trial

SPACE = {
    "u": Range(int=[1, 64], log=True),
    "r": Range(float=[1e-4, 1e-1], log=True),
    "c": Range(choice=[1, True, [1, 2], None]),
}
SEARCH = Search(space=SPACE, goal=Goal(metric="val_auc", mode="max"), trials=9)


def ended(trial: TrialRecord, value=None, state="finished", values=()) -> TrialRecord:
    return TrialRecord(**{**trial.content(), "state": state, "value": value, "values": list(values)})


def test_the_sampler_is_optuna_s_where_it_is_installed_and_a_range_is_searched():
    lists = SEARCH.model_copy(update={"space": {"c": SPACE["c"]}})
    assert (sampler_of(SEARCH, True), sampler_of(SEARCH, False), sampler_of(lists, True)) == ("tpe", "random", "random")


@pytest.mark.parametrize("keys", [{"sampler": "tpe"}, {"study": "sqlite:///x"}])
def test_what_needs_optuna_names_the_extra_where_it_isn_t_installed(keys):
    with pytest.raises(ConfigError, match=r"sparktrain\[search\]"):
        sampler_of(SEARCH.model_copy(update=keys), False)


def proposals(folder, trials=(), sampler="tpe", **keys):
    pytest.importorskip("optuna")
    return proposals_of(SEARCH.model_copy(update=keys), "mine", sampler, 7, folder.join("study"), trials)


def test_the_same_seed_gives_the_same_trials_and_a_resumed_search_others(folder):
    def trials(where, number=3):
        asked = proposals(folder.join(where))
        return [asked.next([]) for _ in range(number)]

    first = trials("a")
    assert first == trials("b") and [number for number, _ in first] == [0, 1, 2]
    assert all(1 <= values["u"] <= 64 and 1e-4 <= values["r"] <= 1e-1 for _, values in first)
    later = trials("a", 1)
    assert later[0][0] == 3 and later[0][1] not in [values for _, values in first]


def test_values_of_a_list_are_those_that_were_listed(folder):
    asked = proposals(folder)
    values = [asked.next([])[1]["c"] for _ in range(20)]
    assert all(
        any(value is each or (value == each and type(value) is type(each)) for each in SPACE["c"].choice) for value in values
    )


def test_a_resumed_study_gets_what_a_killed_driver_had_no_time_to_report(folder):
    from sparktrain.search.optuna_study import open_study

    asked = proposals(folder)
    trials = [new_trial(*asked.next([])) for _ in range(4)]
    asked.ended(ended(trials[0], 0.8, values=[0.7, 0.8]))
    known = [ended(trials[0], 0.8), ended(trials[1], 0.5, "stopped", [0.6, 0.5]), trials[2]]  # of the fourth nobody knows
    proposals(folder, known)
    study = open_study("mine", "max", "tpe", 7, folder.join("study"), None)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "RUNNING", "FAIL"]
    assert study.trials[0].intermediate_values == {1: 0.7, 2: 0.8} and study.trials[1].intermediate_values == {1: 0.6, 2: 0.5}
    assert study.best_value == 0.8


def test_writers_of_one_journal_lose_nothing_of_each_other(reopen):
    pytest.importorskip("optuna")
    from sparktrain.search.journal import FolderJournal

    def write(writer: int) -> None:
        journal = FolderJournal(reopen())
        for number in range(5):
            journal.append_logs([{"writer": writer, "number": number}, {"writer": writer, "number": number + 0.5}])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
    logs = list(FolderJournal(reopen()).read_logs(0))
    assert len(logs) == 30
    for writer in range(3):
        assert [log["number"] for log in logs if log["writer"] == writer] == [n / 2 for n in range(10)]
    assert list(FolderJournal(reopen()).read_logs(28)) == logs[28:]


def test_a_team_s_database_may_have_the_study(folder, tmp_path):
    asked = proposals(folder, study=f"sqlite:///{tmp_path}/studies.db")
    assert asked.next([])[0] == 0 and (tmp_path / "studies.db").exists() and not folder.join("study").exists()
    with pytest.raises(ConfigError, match=r"study: .*expected a database that Optuna can use"):
        proposals(folder, study="nothing://x")
    with pytest.raises(ConfigError, match="sampler: cmaes came without cmaes"):
        proposals(folder, sampler="cmaes")
