"""`sparktrain.tune`: a search, with a job's keys as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from pyspark.sql import DataFrame

from sparktrain.config import BaseJob, Search
from sparktrain.config.check import validate
from sparktrain.config.keywords import KEYWORDS, in_signature, mapping_of_keywords
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.train_keywords import TrainKeywords
from sparktrain.runs.result import Result
from sparktrain.search.search_run import run_search


@in_signature
def tune(
    frame: DataFrame,
    model: Callable[..., Any] | Any,
    *,
    space: Mapping[str, Any],
    goal: Mapping[str, Any],
    trials: int | None = None,
    parallel: int = 1,
    sampler: str | None = None,
    stop: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    study: str | None = None,
    name: str = "tune",
    run_id: str | None = None,
    **keywords: Unpack[TrainKeywords],
) -> Result:
    """Search for the best values of some arguments of `sparktrain.train`, by training many times in one application.

    The frame is prepared once for all trials that share it. Several trials train at the same time, each with as many workers as
    `workers` says. A trial that fails costs that trial only. docs/search.md has the details.

    Args:
        frame: the rows; every column is taken as it is.
        model: a function that returns a compiled Keras model, called as model(**args) in every worker, or a compiled model.
        space: what is varied: arguments by their names, such as "batch_size" or "args.units", or keys as in a job's YAML, such as
            "training.batch_size"; each with {"choice": […]}, {"int": [smallest, largest]} or {"float": [smallest, largest]}, a
            range also with "log": True or "step".
        goal: {"metric": "val_auc", "mode": "max"}: a metric as in a run's history, and max or min.
        trials: how many trials there are; with sampler="grid", all points of the grid if left out.
        parallel: how many trials train at the same time.
        sampler: random, grid, or, with the extra `search`, one of Optuna's: tpe, cmaes, gp, qmc. Without it tpe where Optuna is
            installed and the space has a range, else random.
        stop: {"by": "asha" or "median", "after": 1}: trials that do badly are ended at the end of an epoch.
        minutes: the time after which no further trial begins.
        study: the URL of a database for Optuna's study; without it, the study is a journal on the storage.
        name: the job's name, also used for Spark's application.
        run_id: the search's name, and that of its best run; a search that was killed resumes under its own.
        **keywords: `features`, `label` and what else a job's keys say.

    Returns:
        The best trial's run, with `model`, `history`, `metrics`, `save(url)`, and `trials`: a record of each trial.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        RunTaken: another search has the run_id.
        NoTrialFinished: every trial has failed; the message has the first one's reason.
        InputError: the frame lacks columns or rows.

    Example:
        >>> result = sparktrain.tune(frame, build_model, features=["flight"], label="late", validation={"fraction": 0.1},
        ...                          space={"args.units": {"int": [16, 256], "log": True}, "batch_size": {"choice": [32, 64]}},
        ...                          goal={"metric": "val_auc", "mode": "max"}, trials=20, parallel=4)   # doctest: +SKIP
    """
    given: dict[str, Any] = dict(keywords)
    supplied = SuppliedObjects.from_keywords(frame, model, given)
    mapping, unknown = mapping_of_keywords(name, given)
    asked = {
        "space": {dotted(key): each for key, each in space.items()} if isinstance(space, Mapping) else space,
        "goal": goal,
        "trials": trials,
        "parallel": parallel,
        "sampler": sampler,
        "stop": stop or {},
        "time_limit": minutes,
        "study": study,
    }
    search = validate(Search, asked, whole=False, source="the search")
    return run_search(frame.sparkSession, search, BaseJob(mapping, found=unknown), run_id=run_id, supplied=supplied)


def dotted(key: str) -> str:
    """Return the job's dotted key that an argument's name stands for, or a name in it; a dotted key stands for itself."""
    first, dot, rest = key.partition(".")
    return f"{KEYWORDS[first].key}{dot}{rest}" if first in KEYWORDS else key
