"""Reads a fitted Spark ML pipeline as Spark saves it, without Spark: its stages with their parameters and their data.

The layout is that of org.apache.spark.ml.util.DefaultParamsWriter and Pipeline.SharedReadWrite: `metadata/` holds one line of JSON,
`stages/NUMBER_UID/` a stage, and its `data/` Parquet files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from sparktrain.export.errors import ExportError
from sparktrain.storage import Folder

_NUMBERS = {"NaN": float("nan"), "Inf": float("inf"), "-Inf": float("-inf")}


@dataclass(frozen=True)
class SavedStage:
    """A fitted stage.

    Attributes:
        kind: the name of its class, without `Model`, such as StringIndexer.
        uid: Spark's name for it, such as StringIndexer_3f32cd2fd6e8.
        params: its parameters, those left at their defaults included.
        folder: where it is saved.
    """

    kind: str
    uid: str
    params: dict[str, Any]
    folder: Folder

    def __str__(self) -> str:
        return f"{self.kind} ({self.uid})"

    @property
    def reads(self) -> list[str]:
        """The columns that it reads."""
        return self._columns("inputCol", "inputCols", "featuresCol")

    @property
    def makes(self) -> list[str]:
        """The columns that it makes."""
        return self._columns("outputCol", "outputCols")

    def number(self, name: str) -> float:
        """Return a parameter that is a number."""
        return as_number(self.params[name])

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of its data.

        Raises:
            StorageError: they can't be read.
        """
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as scratch:
            self.folder.download("data", f"{scratch}/data")
            files = sorted(Path(scratch, "data").glob("*.parquet"))
            return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]

    def _columns(self, *names: str) -> list[str]:
        # A stage that has both kinds uses the one that is set: the other is left at its default
        given = [self.params[name] for name in reversed(names) if name in self.params]
        if not given:
            return []
        return [given[0]] if isinstance(given[0], str) else list(given[0])


def saved_stages(folder: Folder) -> list[SavedStage]:
    """Return the stages of a saved pipeline, and of pipelines in it, in their order.

    Raises:
        ExportError: it isn't a pipeline that Spark has saved.
        StorageError: it can't be read.
    """
    stages: list[SavedStage] = []
    for name in sorted(folder.join("stages").list(), key=lambda name: int(name.partition("_")[0])):
        below = folder.join("stages", name)
        metadata = _metadata(below)
        kind = metadata["class"].rpartition(".")[2].removesuffix("Model")
        if kind == "Pipeline":
            stages += saved_stages(below)
        else:
            stages.append(SavedStage(kind, metadata["uid"], _params(metadata), below))
    return stages


def _metadata(folder: Folder) -> dict[str, Any]:
    parts = [name for name in folder.join("metadata").list() if name.startswith("part-")]
    if not parts:
        raise ExportError(f"{folder.url} has no metadata: expected a pipeline as Spark ML saves it")
    return json.loads(folder.join("metadata").read_text(parts[0]))


def _params(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that are set, and the defaults of those that a set one doesn't stand for."""
    given, defaults = metadata["paramMap"], dict(metadata.get("defaultParamMap", {}))
    for several in ("inputCols", "outputCols"):
        if several in given:
            defaults.pop(several.removesuffix("s"), None)
    return {**defaults, **given}


def as_number(value: Any) -> float:
    """Return a number as Spark writes it into JSON, where NaN and infinity are texts."""
    return _NUMBERS[value] if isinstance(value, str) else float(value)


def as_vector(value: dict[str, Any]) -> np.ndarray:
    """Return a vector as Spark saves it, dense or sparse, as a float64 array."""
    values = np.array([as_number(each) for each in value["values"]])
    if value["type"]:  # dense
        return values
    dense = np.zeros(value["size"])
    dense[np.array(value["indices"], np.int64)] = values
    return dense


def as_matrix(value: dict[str, Any]) -> np.ndarray:
    """Return a dense matrix as Spark saves it, column by column if it isn't transposed, as a float64 array.

    Raises:
        ExportError: it is sparse.
    """
    if not value["type"]:
        raise ExportError("a sparse matrix came, expected a dense one")
    values: Sequence[float] = value["values"]
    order = "C" if value["isTransposed"] else "F"
    return np.array(values).reshape((value["numRows"], value["numCols"]), order=order)  # type: ignore[call-overload]
