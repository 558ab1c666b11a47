"""A run's model, ready to score frames on the executors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from sparktrain.config import ConfigError, Problem
from sparktrain.data import InputError, explained
from sparktrain.data.names import select
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.shipping import ship
from sparktrain.feed import Column, Input
from sparktrain.ml.score_columns import check_columns, check_kept, check_types, column_type, made_columns
from sparktrain.ml.score_plan import KINDS, Kind, ScorePlan
from sparktrain.ml.scored_outputs import compiled_losses, scored_outputs
from sparktrain.ml.scorer import score_batches
from sparktrain.runs.finished import resolve
from sparktrain.runs.paths import SIGNATURE
from sparktrain.runs.records.signature import Signature, SignatureInput
from sparktrain.runs.result import Result
from sparktrain.storage import Folder, NotFound, open_folder
from sparktrain.usercode.lookup import search_folders

_MOST_ROWS = 1024  # of a batch whose size is chosen here
_MOST_BYTES = 32 << 20  # of the inputs of such a batch


class FrameScorer:
    """A run's model, which adds its predictions to frames.

    Args:
        spark: the session.
        model: a run's result, or the URL of a run's folder or of `…/latest`.
        output: what comes out, one or several of `prediction`, `probability`, `raw` and `index`.
        keep: the frame's columns to keep; all of them if None.
        batch_size: rows that the model is called with at a time.
        nulls: `refuse` or `keep` rows with a null in the model's columns.
        names: names of the columns that come out, by kind, where they aren't the kinds' own.
        columns: the frame's names of columns, by those that the model was trained with, where they differ.
        modules: modules to import before the model is loaded, besides those that its run records.
        folders: where they are looked up; the current folder and PYTHONPATH if None.

    Attributes:
        url: the URL of the run's folder.
        finished: when the run was finished, ISO 8601; empty if that isn't known.
        columns: the names of the columns that come out.

    Raises:
        ConfigError: an argument can't be used.
        StorageError: there is no such finished run.
        InputError: the run has no signature, or its pipeline can't be loaded.
    """

    def __init__(
        self,
        spark: SparkSession,
        model: str | Result,
        *,
        output: str | Sequence[str] = "prediction",
        keep: Sequence[str] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        nulls: str = "refuse",
        names: Mapping[str, str] = MappingProxyType({}),
        columns: Mapping[str, str] = MappingProxyType({}),
        modules: Sequence[str] = (),
        folders: Sequence[str] | None = None,
    ) -> None:
        kinds = _checked(output, batch_size, nulls)
        self._hadoop = hadoop_settings(spark)
        url = model.output if isinstance(model, Result) else resolve(qualified(spark, model), self._hadoop)
        if url is None:
            raise ConfigError([Problem("model", "a run that left no model", "a finished run, or the URL of its folder")])
        folder = open_folder(url, self._hadoop)
        self.url = url
        self._signature = _renamed(read_signature(folder), columns)
        summary = (model if isinstance(model, Result) else Result.of_folder(folder, self._hadoop)).summary
        self.finished = str(summary.get("finished", ""))
        self._outputs = scored_outputs(self._signature.outputs, partial(compiled_losses, folder))
        self._made = made_columns(self._outputs, kinds, names)
        self.columns = [name for name, _, _ in self._made]
        self._pipeline: PipelineModel | None = None
        if self._signature.pipeline:
            with explained():
                self._pipeline = PipelineModel.load(f"{url}/pipeline")
        self._modules = tuple(dict.fromkeys([*(summary.get("modules") or ()), *modules]))
        ship(spark.sparkContext, self._modules, search_folders() if folders is None else folders)
        self._keep, self._nulls = keep, nulls
        self._batch_size = _chosen(self._signature) if batch_size == "auto" else batch_size

    def __call__(self, frame: DataFrame) -> DataFrame:
        """Return the kept columns of a frame and the model's outputs, lazily.

        Raises:
            ConfigError: a column to keep can't be.
            InputError: the pipeline can't be applied.
            MissingColumn: the frame lacks columns that the model was trained with, or they have other types.
        """
        kept = list(frame.columns) if self._keep is None else [str(name) for name in self._keep]
        check_kept(frame, kept, self.columns)
        return self.score(self.prepare(frame), kept)

    def prepare(self, frame: DataFrame) -> DataFrame:
        """Return a frame behind the run's fitted pipeline.

        Raises:
            InputError: the pipeline can't be applied.
        """
        if self._pipeline is None:
            return frame
        with explained():
            return self._pipeline.transform(frame)

    def score(self, prepared: DataFrame, kept: Sequence[str]) -> DataFrame:
        """Return some columns of a frame that is prepared, and the model's outputs, lazily.

        Raises:
            MissingColumn: the frame lacks columns that the model was trained with, or they have other types.
        """
        signature = self._signature
        needed = signature.columns()
        check_columns(prepared, needed, signature)
        chosen = select(prepared, needed, *(name for name in kept if name not in needed))
        check_types(chosen, signature)
        plan = ScorePlan(
            url=self.url,
            hadoop=self._hadoop,
            model=f"{self.url} {self.finished}",
            modules=self._modules,
            inputs=tuple(_input(each) for each in signature.inputs),
            rows=tuple((tuple(each.shape), each.dtype) for each in signature.inputs),
            outputs=self._outputs,
            columns=self._made,
            kept=tuple(kept),
            batch_size=self._batch_size,
            keep_nulls=self._nulls == "keep",
        )
        kept_fields = [StructField(name, chosen.schema[name].dataType) for name in kept]
        made_fields = [StructField(name, column_type(self._outputs[number], kind)) for name, number, kind in self._made]
        return chosen.mapInArrow(partial(score_batches, plan), StructType([*kept_fields, *made_fields]))


def _checked(output: str | Sequence[str], batch_size: int | str, nulls: str) -> list[Kind]:
    asked = [output] if isinstance(output, str) else list(output)
    kinds = [kind for kind in KINDS if kind in asked]
    problems = []
    if not asked or len(kinds) != len(set(asked)):
        problems.append(Problem("output", f"{output!r} came", f"one or several of {', '.join(KINDS)}"))
    if batch_size != "auto" and (not isinstance(batch_size, int) or batch_size < 1):
        problems.append(Problem("batch_size", f"{batch_size!r} came", "a whole number from 1, or auto"))
    if nulls not in ("refuse", "keep"):
        problems.append(Problem("nulls", f"{nulls!r} came", "refuse or keep"))
    if problems:
        raise ConfigError(problems)
    return kinds


def read_signature(folder: Folder) -> Signature:
    """Return the signature of a run's model.

    Raises:
        InputError: the run has none.
        StorageError: the storage can't be read.
    """
    try:
        return Signature.model_validate_json(folder.read_text(SIGNATURE))
    except NotFound as error:
        raise InputError(
            f"{folder.url} has no signature.json: its run was trained by a version of sparktrain that wrote none. Expected a run "
            "that tells what its model takes; train it again"
        ) from error


def _renamed(signature: Signature, names: Mapping[str, str]) -> Signature:
    inputs = []
    for each in signature.inputs:
        columns = [one.model_copy(update={"column": names.get(one.column, one.column)}) for one in each.columns]
        inputs.append(each.model_copy(update={"columns": columns}))
    return signature.model_copy(update={"inputs": inputs})


def _chosen(signature: Signature) -> int:
    """Return the rows of a batch whose inputs are of a moderate size."""
    row = sum(
        math.prod(each.shape) * (64 if each.dtype == "string" else np.dtype(each.dtype).itemsize) for each in signature.inputs
    )
    return max(1, min(_MOST_ROWS, _MOST_BYTES // max(row, 1)))


def _input(each: SignatureInput) -> Input:
    return Input(
        each.feature,
        tuple(
            Column(one.column, None if one.shape is None else tuple(one.shape), one.length, one.pad, one.side)
            for one in each.columns
        ),
    )
