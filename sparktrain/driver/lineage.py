"""Where a model comes from: inputs, code, versions, as lineage.json keeps them."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from pyspark import SparkContext

from sparktrain.config import Job
from sparktrain.data import Prepared
from sparktrain.driver.parent_run import ParentRun
from sparktrain.runs.records import Lineage


def versions() -> dict[str, str]:
    """Of what the result depends on, as installed with the driver."""
    found = {"python": platform.python_version()}
    for name in (
        "sparktrain",
        "pyspark",
        "keras",
        "tensorflow",
        "tensorflow-cpu",
        "horovod",
        "tensorflowonspark",
        "pyarrow",
        "numpy",
    ):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not every engine's packages are everywhere
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
    """Return where a model comes from.

    Args:
        run: its id, or the name of a prepared frame's folder.
        classes: rows of each class that was trained on.
        parent: the run that it goes on from.
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
        versions={**versions(), "pyspark": context.version},  # of SPARK_HOME's, which may be another than is installed
        user=context.sparkUser(),
        application=context.applicationId,
    )


def _by_name(counts: Mapping[Any, int] | None) -> dict[str, int] | None:
    """With the names that JSON gives them as keys: a label may be a number, a boolean, a decimal or a date."""
    if counts is None:
        return None
    return {name if isinstance(name, str) else json.dumps(name, default=str).strip('"'): rows for name, rows in counts.items()}
