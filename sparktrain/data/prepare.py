"""Prepares the frame to train on, in an order that keeps validation rows out of fitting and sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark import StorageLevel
from pyspark.ml import Estimator, Transformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from sparktrain.data import census as counting
from sparktrain.data import classes as outputs
from sparktrain.data import pipeline as stages
from sparktrain.data import sampling, splitting, stored
from sparktrain.data.cutting import cut
from sparktrain.data.errors import explained, require_columns
from sparktrain.data.files import files_behind, normal, summarised
from sparktrain.data.identity import ROW, VALIDATION, column, only, row_hash
from sparktrain.data.names import select, unknown
from sparktrain.data.prepared import REPORTED_CLASSES, Prepared
from sparktrain.data.reading import read_files
from sparktrain.data.source_rows import as_list, shaped, source_of

if TYPE_CHECKING:
    from sparktrain.config import Data

Accept = Callable[[StructType, "Sequence[Any] | None"], None]


def prepare(
    spark: SparkSession,
    data: Data,
    *,
    seed: int,
    frame: DataFrame | None = None,
    preprocess: Callable[..., DataFrame] | None = None,
    columns: Sequence[str] | None = None,
    pipeline: Estimator | Transformer | None = None,
    classes: Sequence[Any] | None = None,
    read_again: bool = False,
    accept: Accept = lambda schema, classes: None,
    progress: Callable[[str], None] = lambda line: None,
) -> Prepared:
    """Prepare rows: read, `where`, preprocess, mark validation rows, fit the pipeline on training rows, apply it, sample.

    The columns are checked before any row is read. Rows are read here only if a pipeline is to be fitted or a sample taken,
    and then still computed only once, unless `data.keep` is none. Rows of `data.prepared` are prepared already, and read as
    they were written.

    Args:
        spark: the session.
        data: the job's section `data`.
        seed: the seed of the rows' hashes, and so of validation, sample and order.
        frame: rows passed by the caller; None to read them as the section says.
        preprocess: the function that `data.preprocess` names.
        columns: the columns that training needs; those of the section if None.
        pipeline: a pipeline, fitted or not, of the run that `model.load` names or passed by the caller; it has priority over
            `data.pipeline`, and with `data.prepared` must be the frame's own.
        classes: the classes of the run that `model.load` names, in the order of its model's outputs.
        read_again: whether the rows will be read more than once after this.
        accept: called, before any row is read, with the columns that training needs (before a pipeline is fitted, those of
            them that exist) and the classes; raises if their types can't be trained on.
        progress: called with a few words for each step.

    Raises:
        InputError: the rows can't be trained on; the message says why, and what to do.
    """
    needed = list(columns if columns is not None else data.columns)
    if frame is None and data.prepared is not None:
        progress("reading the prepared rows")
        with explained():
            prepared = stored.read(spark, data, needed, classes)
        accept(_of(prepared.frame, needed), prepared.classes)
        return prepared
    prepared = Prepared(frame=None)  # type: ignore[arg-type]   # set at the end
    try:
        with explained():
            marked = _marked(spark, data, seed, frame, preprocess, prepared, progress)
            _transform(spark, data, marked, needed, pipeline, classes, read_again, prepared, accept, progress)
            _sample(data, seed, prepared, progress)
    except BaseException:
        prepared.release()
        raise
    prepared.frame = only(prepared.frame, [*needed, ROW, VALIDATION])
    kept = frame is not None and (frame.storageLevel.useDisk or frame.storageLevel.useMemory)  # persisted by the caller
    from_columns = frame is None and data.path is not None and data.format in ("parquet", "orc")
    prepared._costly = (
        data.keep != "none" and not kept and not (from_columns and preprocess is None and prepared.pipeline is None)
    )
    return prepared


def _marked(
    spark: SparkSession,
    data: Data,
    seed: int,
    frame: DataFrame | None,
    preprocess: Callable[..., DataFrame] | None,
    prepared: Prepared,
    progress: Callable[[str], None],
) -> DataFrame:
    """Return the preprocessed rows with ROW and VALIDATION, and record their sources and files."""
    source = source_of(spark, data, frame, progress)
    rows = shaped(source, data, preprocess, prepared._steps)
    prepared._sources.append(source)
    validation = data.validation
    if validation is not None and validation.path is not None:
        held_out = read_files(
            spark,
            as_list(validation.path),
            data.format,
            options=data.options,
            schema=data.schema,
            skip=data.corrupt == "skip",
            key="data.validation.path",
        )
        prepared._sources.append(held_out)
        others = shaped(held_out, data, preprocess, [])
        require_columns(rows.columns, others.columns, "data.validation.path: the frame after data.preprocess")
        rows = _identified(rows, seed, F.lit(False)).unionByName(_identified(only(others, rows.columns), seed, F.lit(True)))
    else:
        rows = splitting.mark_validation(rows.withColumn(ROW, row_hash(rows, seed)), validation, seed)
    progress("listing the input files")
    left_out = {normal(unquote(file)) for one in prepared._sources for file in one.left_out}
    files = [file for file in files_behind(rows) if normal(file.path) not in left_out]
    prepared.inputs, notes = summarised(files + [file for one in prepared._sources for file in one.files])
    prepared._notes += notes
    return rows


def _identified(rows: DataFrame, seed: int, mark: Any) -> DataFrame:
    return rows.withColumn(ROW, row_hash(rows, seed)).withColumn(VALIDATION, mark)


def _transform(
    spark: SparkSession,
    data: Data,
    rows: DataFrame,
    needed: list[str],
    loaded: Estimator | Transformer | None,
    classes: Sequence[Any] | None,
    read_again: bool,
    prepared: Prepared,
    accept: Accept,
    progress: Callable[[str], None],
) -> None:
    """Fit the pipeline if necessary, apply it, and resolve the classes."""
    chosen: Any = loaded
    if loaded is not None and data.pipeline is not None:
        prepared._notes.append("data.pipeline is not used: the loaded model's own pipeline is")
    elif data.pipeline is not None:
        chosen = stages.load(spark, data.pipeline) if isinstance(data.pipeline, str) else data.pipeline
    after = rows.columns if chosen is None else stages.columns_after(chosen, rows)
    what = "the frame" if chosen is None else "the frame after the pipeline"
    if after is not None:
        there = [name for name in after if name not in (ROW, VALIDATION)]
        require_columns(unknown(needed, rows.schema, there), there, what)
    if chosen is None:
        rows = select(rows, needed, ROW, VALIDATION)
    if isinstance(chosen, Estimator):
        accept(_of(rows, needed), data.classes or classes)
    # Rows that are read only once are not worth persisting.
    if data.keep != "none" and (read_again or isinstance(chosen, Estimator) or data.sample is not None):
        rows = rows.persist(StorageLevel.DISK_ONLY)
        prepared._kept.append(rows)
    prepared._steps.append(("data.validation", rows.where(~column(VALIDATION))))
    if isinstance(chosen, Estimator):
        progress("fitting the pipeline on the training rows")
        if rows.where(~column(VALIDATION)).isEmpty():
            raise prepared.why_empty()
        chosen = stages.fitted(chosen, rows.where(~column(VALIDATION)))
    if chosen is not None:
        prepared.pipeline = stages.fitted(chosen, rows)
        rows = stages.applied(prepared.pipeline, rows)
        require_columns(unknown(needed, rows.schema), rows.columns, what)
        rows = select(rows, needed, ROW, VALIDATION)
        prepared._steps.append(("the pipeline", rows.where(~column(VALIDATION))))
    prepared.frame = rows
    prepared.label_names = stages.label_names(prepared.frame, data.label_column)
    prepared.classes = outputs.settled(prepared.label_names, data.classes, classes)
    accept(_of(rows, needed), prepared.classes)


def _sample(data: Data, seed: int, prepared: Prepared, progress: Callable[[str], None]) -> None:
    if data.sample is None:
        return
    chosen, asked = data.sample.way
    way = sampling.WAYS[chosen]
    progress("counting the rows of each class")
    census = counting.count(prepared.frame, data.label_column, seed, f"data.sample.{chosen}" if way.needs_classes else None)
    try:
        prepared.rows, prepared.validation_rows = census.rows, census.validation_rows
        if not census.rows:
            raise prepared.why_empty()
        named = {key: prepared.name(key) for key in census.keys}
        if census.counts is not None and len(named) <= REPORTED_CLASSES:
            prepared.counts_before = {named[key]: n for key, n in census.keys.items()}
        progress("sampling the training rows")
        taken, notes = way.decide(asked, {named[key]: n for key, n in census.keys.items()})
        prepared._notes += notes
        if data.validation is not None:
            prepared._notes += splitting.share_notes(data.validation.share, census.rows, census.validation_rows)
        prepared.rows = sum(taken.values())
        if prepared.counts_before is not None:
            prepared.counts_after = taken
        prepared.frame = cut(census, {key: taken[named[key]] for key in census.keys})
    finally:
        census.release()


def _of(frame: DataFrame, needed: Sequence[str]) -> StructType:
    """Return the schema of those of the needed columns that a frame has."""
    return StructType([field for field in frame.schema.fields if field.name in needed])
