"""Chooses the sampler of a search, and makes its proposals."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from sparktrain.config import ConfigError, Problem, Search
from sparktrain.config.search import OF_OPTUNA
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.proposals import PlainProposals, Proposals
from sparktrain.storage import Folder

_OPTUNA = "optuna"


def sampler_of(search: Search, has_optuna: bool) -> str:
    """Return the name of a search's sampler.

    Args:
        has_optuna: whether Optuna is installed.

    Raises:
        ConfigError: it is one of Optuna's, or there is a study, and Optuna isn't installed.
    """
    sampler = search.sampler
    if sampler is None:
        ranges = any(each.points is None for each in search.space.values())
        sampler = "tpe" if search.study is not None or (has_optuna and ranges) else "random"
    if sampler in OF_OPTUNA and not has_optuna:
        key, came = ("sampler", sampler) if search.sampler is not None else ("study", "a database")
        hint = "pip install 'sparktrain[search]'"
        raise ConfigError([Problem(key, f"{came} came, and Optuna is not installed", "sampler: random or grid", hint)])
    return sampler


def has_optuna() -> bool:
    """Return whether Optuna is installed."""
    return importlib.util.find_spec(_OPTUNA) is not None


def proposals_of(search: Search, name: str, sampler: str, seed: int, folder: Folder, trials: Sequence[TrialRecord]) -> Proposals:
    """Return what chooses the values of a search's trials.

    Args:
        name: the search's id.
        sampler: the sampler's name.
        seed: its seed.
        folder: the folder for an Optuna study's journal.
        trials: the trials that the search has already.

    Raises:
        ConfigError: Optuna's sampler, or the study's database, can't be used.
    """
    if sampler not in OF_OPTUNA:
        return PlainProposals(search.space, sampler, seed)
    from sparktrain.search.optuna_study import OptunaProposals, open_study  # an extra

    proposals = OptunaProposals(open_study(name, search.goal.mode, sampler, seed, folder, search.study), search.space)
    proposals.agree(trials)
    return proposals
