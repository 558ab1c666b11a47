"""The trials of a search as files on the storage: one record each, from its beginning to its end."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

from sparktrain.runs.records.search import TrialRecord
from sparktrain.storage import Folder, NotFound

TRIALS = "trials"  # the folder, in a search's, that the trials' runs are written to
ROWS = "rows"  # the prepared rows of a job with data.keep: storage, until the search is complete
_RECORDS = "records"


def run_of(number: int) -> str:
    """Return the id of a trial's run."""
    return f"trial-{number:04d}"


def new_trial(number: int, parameters: dict[str, Any]) -> TrialRecord:
    """Return the record of a trial that begins."""
    return TrialRecord(number=number, state="running", parameters=parameters, run=run_of(number))


def write_trial(folder: Folder, trial: TrialRecord) -> None:
    """Write a trial's record into its search's folder."""
    trial.write(folder, f"{_RECORDS}/{trial.number:04d}.json")


def read_trials(folder: Folder) -> list[TrialRecord]:
    """Return the trials of a search, by their numbers; none if its folder isn't there."""
    try:
        names = sorted(folder.join(_RECORDS).list())
    except NotFound:
        return []
    return [TrialRecord.model_validate(json.loads(folder.read_text(f"{_RECORDS}/{name}"))) for name in names]


def best(trials: Sequence[TrialRecord], mode: Literal["min", "max"]) -> TrialRecord | None:
    """Return the trial with the best value: of several the first; of stopped ones only if none has finished; None without one."""
    for state in ("finished", "stopped"):
        known = [trial for trial in trials if trial.state == state and is_number(trial.value)]
        if known:
            return min(known, key=lambda trial: (sign(mode) * (trial.value or 0.0), trial.number))
    return None


def sign(mode: Literal["min", "max"]) -> int:
    """Return the factor that makes smaller values better."""
    return 1 if mode == "min" else -1


def is_number(value: float | None) -> bool:
    """Return whether a metric's value is there, and is neither NaN nor infinite."""
    return value is not None and math.isfinite(value)


def counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Return how many trials there are in each state, without those in which there is none."""
    states = [trial.state for trial in trials]
    return {state: states.count(state) for state in ("finished", "stopped", "failed", "running") if state in states}
