"""Makes lineage.json: the inputs, code and versions that a model was made from."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from pyspark import SparkContext

from sparktrain.config import Job
from sparktrain.data import Prepared
from sparktrain.driver.model.parent_run import ParentRun
from sparktrain.interfaces.engines import ENGINES, TRAINING_PACKAGES
from sparktrain.runs.records.origin import Lineage


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages that the result depends on, as installed with the driver."""
    found = {"python": platform.python_version()}
    of_engines = (name for engine in ENGINES.values() for name in engine.packages)
    for name in dict.fromkeys(("sparktrain", "pyspark", *TRAINING_PACKAGES, "tensorflow-cpu", *of_engines)):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an engine that isn't installed here
    return found


def lineage(
    run: str,
    job: Job,
    prepared: Prepared,
    classes: Mapping[Any, int] | None,
    *,
    parent: ParentRun | None,
    code: Mapping[str, str],
    context: SparkContext,
) -> Lineage:
    """Return the lineage of a model or a prepared frame.

    Args:
        run: the run's id, or the name of the prepared frame's folder.
        classes: training rows of each class, after sampling.
        parent: the run whose model this run starts from.
        code: the SHA-256 of each of the user's files that were shipped.
    """
    return Lineage(
        run=run,
        parent=parent.url if parent is not None else None,
        prepared=prepared.origin,
        inputs=prepared.inputs,
        classes_before_sampling=_by_name(prepared.counts_before if prepared.counts_before is not None else classes),
        classes_after_sampling=_by_name(classes),
        seed=job.seed,
        code=dict(code),
        versions={**versions(), "pyspark": context.version},  # SPARK_HOME's may differ from the installed one
        user=context.sparkUser(),
        application=context.applicationId,
    )


def _by_name(counts: Mapping[Any, int] | None) -> dict[str, int] | None:
    """Return the counts by the labels as JSON writes them: a label may be a number, a boolean, a decimal or a date."""
    if counts is None:
        return None
    return {name if isinstance(name, str) else json.dumps(name, default=str).strip('"'): rows for name, rows in counts.items()}
