"""`sparktrain.cross_validate`: cross-validation, with a job's keys as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from pyspark.sql import DataFrame

from sparktrain.config import ConfigError, Problem
from sparktrain.config.keywords import in_signature, job_of_keywords
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.train_keywords import TrainKeywords
from sparktrain.runs.result import Result
from sparktrain.search.cross_validation import run_cross_validation


@in_signature
def cross_validate(
    frame: DataFrame,
    model: Callable[..., Any] | Any,
    *,
    folds: int = 5,
    by: str | None = None,
    parallel: int = 1,
    name: str = "cross-validation",
    run_id: str | None = None,
    **keywords: Unpack[TrainKeywords],
) -> Result:
    """Train a model for each fold of the rows, on all other folds, and measure it on its own.

    The rows are divided by the hash of their content: the same rows, seed and number of folds give the same folds. A pipeline is
    fitted for each model on its training rows alone. docs/cross-validation.md has the details.

    Args:
        frame: the rows; every column is taken as it is.
        model: a function that returns a compiled Keras model, called as model(**args) in every worker, or a compiled model.
        folds: the number of folds, at least 2.
        by: a column; rows with the same value in it are all in the same fold.
        parallel: how many models train at the same time, each with as many workers as `workers` says.
        name: the job's name, also used for Spark's application.
        run_id: the cross-validation's name; one that was killed resumes under its own, with the models that it had.
        **keywords: `features`, `label` and what else a job's keys say, without `validation`.

    Returns:
        The result: `metrics` has the mean of each metric over the folds, `deviations` its standard deviation, and `folds` the result
        of each fold's run, with `model`, `history` and `metrics`.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        RunTaken: another run has the run_id.
        AttemptFailed, StageFailed: a worker or Spark failed; models that were trained before are kept for the same call with run_id.
        InputError: the frame lacks columns or rows.

    Example:
        >>> result = sparktrain.cross_validate(frame, build_model, features=["flight"], label="late", folds=5)   # doctest: +SKIP
        >>> result.metrics["val_auc"], result.deviations["val_auc"]                                             # doctest: +SKIP
    """
    given: dict[str, Any] = dict(keywords)
    if given.get("validation") is not None:
        came = Problem("validation", "came", "folds, and by", "remove it: the validation rows are those of each fold")
        raise ConfigError([came], "the arguments")
    given["validation"] = {"folds": folds, "parallel": parallel, **({} if by is None else {"by": by})}
    supplied = SuppliedObjects.from_keywords(frame, model, given)
    job = job_of_keywords(name, given)
    return run_cross_validation(frame.sparkSession, job, run_id=run_id, supplied=supplied)
