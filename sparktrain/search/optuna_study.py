"""Chooses the values of trials by Optuna, which runs on the driver: it is asked for each trial, and gets its result."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from sparktrain.config import ConfigError, Problem, Range
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.journal import FolderJournal
from sparktrain.storage import Folder

_log = logging.getLogger(__name__)
_SAMPLERS = {"tpe": "TPESampler", "cmaes": "CmaEsSampler", "gp": "GPSampler", "qmc": "QMCSampler"}
_NEEDS = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}  # packages that Optuna itself doesn't ask for
_STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaProposals:
    """Proposals by one of Optuna's samplers.

    Args:
        study: the study.
        space: what is varied.
    """

    def __init__(self, study: optuna.Study, space: Mapping[str, Range]) -> None:
        self._study = study
        self._distributions = {key: distribution(each) for key, each in space.items()}
        self._choices = {key: (labels(each.choice), each.choice) for key, each in space.items() if each.choice is not None}

    def next(self, trials: Sequence[TrialRecord]) -> tuple[int, dict[str, Any]]:
        """Ask Optuna for a trial, and return its number and values."""
        trial = self._study.ask(self._distributions)
        return trial.number, {key: self._value(key, value) for key, value in trial.params.items()}

    def _value(self, key: str, of_optuna: Any) -> Any:
        """Return the value that Optuna's stands for."""
        if key not in self._choices:
            return of_optuna
        names, values = self._choices[key]
        return values[names.index(of_optuna)]

    def ended(self, trial: TrialRecord) -> None:
        """Report to Optuna how a trial has ended, with the values after its epochs."""
        (found,) = [each for each in self._study.get_trials(deepcopy=False) if each.number == trial.number]
        asked = optuna.Trial(self._study, found._trial_id)
        for epoch, value in enumerate(trial.values, start=1):
            if value is not None and epoch not in found.intermediate_values:
                asked.report(value, epoch)
        state = _STATES[trial.state]
        self._study.tell(trial.number, trial.value if state is TrialState.COMPLETE else None, state=state, skip_if_finished=True)

    def agree(self, trials: Sequence[TrialRecord]) -> None:
        """Report to the study what a killed driver had no time to report: how trials ended, and that some never began."""
        known = {trial.number: trial for trial in trials}
        for each in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            trial = known.get(each.number)
            if trial is None:
                self._study.tell(each.number, state=TrialState.FAIL)
            elif trial.state != "running":
                self.ended(trial)


def open_study(name: str, mode: str, sampler: str, seed: int, folder: Folder, url: str | None) -> optuna.Study:
    """Return the study of a search, which is made if there is none.

    Args:
        name: the search's id.
        mode: min or max.
        sampler: the sampler's name.
        seed: the sampler's seed.
        folder: the folder of the study's journal.
        url: the URL of a database to use in place of the journal.

    Raises:
        ConfigError: the sampler needs a package that isn't installed, or the database can't be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # each trial is noted by the search itself
    try:
        storage = optuna.storages.JournalStorage(FolderJournal(folder)) if url is None else optuna.storages.RDBStorage(url)
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize" if mode == "max" else "minimize", load_if_exists=True
        )
    except Exception as error:
        if url is None:
            raise
        _log.info("the study's database can't be used", exc_info=True)
        hint = "its driver is to be installed with the driver program"
        expected = "a database that Optuna can use, such as postgresql://USER@HOST/NAME"
        raise ConfigError([Problem("study", f"{type(error).__name__}: {error}".partition("\n")[0], expected, hint)]) from error
    # A sampler's own chance isn't kept: with the same seed, one that is resumed would begin with the trials that there are
    study.sampler = _sampler(sampler, seed + len(study.get_trials(deepcopy=False)))
    return study


def _sampler(name: str, seed: int) -> BaseSampler:
    missing = [package for package in _NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
    if missing:
        hint = f"pip install {' '.join(missing)}, or sampler: tpe"
        raise ConfigError([Problem("sampler", f"{name} came without {' and '.join(missing)}", "what it needs", hint)])
    return getattr(optuna.samplers, _SAMPLERS[name])(seed=seed)


def distribution(each: Range) -> BaseDistribution:
    """Return Optuna's distribution of the values of a key."""
    if each.choice is not None:
        return CategoricalDistribution(labels(each.choice))
    assert each.bounds is not None  # the rules refuse others
    low, high = each.bounds
    if each.int_range is not None:
        return IntDistribution(int(low), int(high), log=each.log, step=int(each.step or 1))
    return FloatDistribution(low, high, log=each.log, step=each.step)


def labels(values: Sequence[Any]) -> list[Any]:
    """Return what stands for the values of a list in Optuna, which takes plain ones only, and no two that are equal, as 1 and true."""
    plain = all(isinstance(value, str | bool | int | float | None) for value in values)
    return list(values) if plain and len(set(values)) == len(values) else [json.dumps(value) for value in values]
