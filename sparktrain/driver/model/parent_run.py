"""Loads the finished run whose model a run starts from (`model.load`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sparktrain.config import ConfigError, Job, Problem
from sparktrain.data import same_pipelines
from sparktrain.driver.hadoop import qualified
from sparktrain.runs.finished import resolve
from sparktrain.storage import SUMMARY, open_folder


@dataclass(frozen=True)
class ParentRun:
    """A finished run whose model another run starts from (`model.load`).

    Attributes:
        url: the URL of the run's folder.
        pipeline: its fitted pipeline; None if it has none.
        classes: the classes of its model's outputs, in their order; None if they aren't recorded.
        job: its configuration, as it ran.
        custom_objects: its model's custom classes and functions: the name that Keras looks each up by, and its module.
        modules: the modules to import before the model is loaded; None if they aren't recorded.
    """

    url: str
    pipeline: PipelineModel | None
    classes: list[Any] | None
    job: Mapping[str, Any]
    custom_objects: Mapping[str, str] = field(default_factory=dict)
    modules: Sequence[str] | None = ()


def find_parent_run(spark: SparkSession, load: str, hadoop: Mapping[str, str]) -> ParentRun:
    """Read the run that `model.load` names.

    Raises:
        StorageError: there is no such finished run, or the storage can't be read.
    """
    folder = open_folder(resolve(qualified(spark, load), hadoop), hadoop)
    summary = json.loads(folder.read_text(SUMMARY))
    return ParentRun(
        folder.url,
        PipelineModel.load(f"{folder.url}/pipeline") if folder.exists("pipeline") else None,
        json.loads(folder.read_text("classes.json")) if folder.exists("classes.json") else None,
        yaml.safe_load(folder.read_text("job.yaml")) if folder.exists("job.yaml") else {},
        summary.get("custom_objects", {}),
        summary.get("modules"),
    )


def note_of_leak(parent: ParentRun, job: Job) -> str | None:
    """Return a warning if the parent run may have trained on rows that this run validates on; else None.

    A row is marked for validation by its seeded hash and the fraction, or the fold: with the same seed and column, and the same fold
    or a fraction that isn't larger, all rows that are validated now were validated then. Rows prepared by another job are not checked.
    """
    now = job.data.validation
    before = parent.job.get("data") or {}
    if now is None or now.share is None or job.data.prepared or not before or before.get("prepared"):
        return None
    then = before.get("validation") or {}
    seed = parent.job.get("seed", Job.model_fields["seed"].default)
    changed = []
    if seed != job.seed:
        changed.append(f"seed was {seed} and is {job.seed}")
    if then.get("by") != now.by:
        changed.append(f"data.validation.by was {then.get('by')} and is {now.by}")
    if now.folds is not None:
        if (then.get("folds"), then.get("fold")) != (now.folds, now.fold):
            changed.append("its validation rows were not those of the same fold")
    elif then.get("fraction") is None or (now.fraction or 0) > then["fraction"]:
        changed.append(f"data.validation.fraction was {then.get('fraction')} and is {now.fraction}")
    if not changed:
        return None
    return (
        f"rows that are validated now may have been trained on by {parent.url}, so that their metrics look too good: "
        f"{'; '.join(changed)}. Keep seed and data.validation as they were"
    )


def refuse_other_pipeline(spark: SparkSession, parent: str, prepared: str) -> None:
    """Check that a prepared frame was made with the same fitted pipeline as the model of a run.

    Args:
        parent: the URL of the run.
        prepared: the URL of the frame.

    Raises:
        ConfigError: the two pipelines differ.
    """
    if not same_pipelines(spark, f"{parent}/pipeline", f"{prepared}/pipeline"):
        raise ConfigError(
            [
                Problem(
                    "model.load",
                    f"the pipeline of {parent} is not the one of data.prepared, {prepared}, so the model would see other values",
                    "the same fitted pipeline in both, or none in both",
                    "prepare the rows by jobs/prepare.py with the same model.load, or train a new model",
                )
            ]
        )
