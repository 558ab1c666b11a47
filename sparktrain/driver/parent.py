"""The run that another goes on from, by `model.load`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sparktrain.config import ConfigError, Problem
from sparktrain.data import same_pipelines
from sparktrain.driver.output import qualified
from sparktrain.storage import open_folder
from sparktrain.storage.runs import resolve


@dataclass(frozen=True)
class Parent:
    """A finished run that another goes on from.

    Attributes:
        url: of its folder.
        pipeline: its own, fitted; None where it has none.
        classes: what its model's outputs stand for, in their order; None where it doesn't say.
    """

    url: str
    pipeline: PipelineModel | None
    classes: list[Any] | None


def find_parent(spark: SparkSession, load: str, hadoop: Mapping[str, str]) -> Parent:
    """The run that `model.load` names.

    Raises:
        StorageError: there is no such finished run.
    """
    folder = open_folder(resolve(qualified(spark, load), hadoop), hadoop)
    return Parent(
        folder.url,
        PipelineModel.load(f"{folder.url}/pipeline") if folder.exists("pipeline") else None,
        json.loads(folder.read_text("classes.json")) if folder.exists("classes.json") else None,
    )


def refuse_other_pipeline(spark: SparkSession, parent: str, prepared: str) -> None:
    """See that a prepared frame's rows are what the model of a run has learnt from.

    Args:
        parent: the URL of the run.
        prepared: the URL of the frame.

    Raises:
        ConfigError: the pipelines of the two are not the same.
    """
    if not same_pipelines(spark, f"{parent}/pipeline", f"{prepared}/pipeline"):
        raise ConfigError([Problem(
            "model.load",
            f"the pipeline of {parent} is not the one of data.prepared, {prepared}, so the model would see other values",
            "the same fitted pipeline in both, or none in both",
            "prepare the rows by jobs/prepare.py with the same model.load, or train a new model",
        )])
