"""Scores the rows of a frame with a run's model, on the executors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pyspark.errors import PySparkException
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    FloatType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from sparktrain.config import ConfigError, Problem
from sparktrain.data import InputError, MissingColumn, UnfitColumn, arrow_type, explained
from sparktrain.data.names import select, unknown
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.shipping import ship
from sparktrain.feed import BadInput, Column, Input, dtype_name
from sparktrain.feed.columns import element_dtype
from sparktrain.ml.score_plan import KINDS, Kind, ScoredOutput, ScorePlan
from sparktrain.ml.scored_outputs import compiled_losses, scored_outputs
from sparktrain.ml.scorer import score_batches
from sparktrain.runs.finished import resolve
from sparktrain.runs.records.signature import Signature, SignatureInput
from sparktrain.runs.result import Result
from sparktrain.storage import Folder, NotFound, open_folder
from sparktrain.usercode.lookup import search_folders

_BATCH = 1024
_OF_CLASSES: dict[type, type[DataType]] = {bool: BooleanType, int: LongType, float: DoubleType, str: StringType}


def score(
    frame: DataFrame,
    model: str | Result,
    *,
    output: str | Sequence[str] = "prediction",
    keep: Sequence[str] | None = None,
    batch_size: int = _BATCH,
    nulls: str = "refuse",
) -> DataFrame:
    """Return a frame with a trained model's predictions beside its rows.

    The columns become the model's inputs as they did in training: by the run's fitted pipeline, which is applied here, with the
    same order, padding and shapes. The executors load the model from the storage, once a Python process, and call it with Arrow
    batches; nothing goes through the driver, and nothing is computed before the returned frame is.

    Args:
        frame: rows with the columns that the run's pipeline, or the model if there is none, was trained with: what
            `data.preprocess` made of the source in training, it must make here, too.
        model: a run's result, or the URL of a run's folder or of `…/latest`.
        output: what comes out, one or several of: `prediction`, the class (as in the label, or its number where the classes
            aren't known) or the number itself if the model was trained on numbers; `probability`, the model's numbers if
            they are probabilities (from logits, by softmax or the logistic function); `raw`, the model's numbers as they are. A
            model with several outputs gives a column for each, such as `prediction_late`.
        keep: the frame's columns to keep; all of them if left out.
        batch_size: rows that the model is called with at a time.
        nulls: `refuse` ends with an error that names the column at the first row with a null; `keep` gives such rows a null.

    Returns:
        The kept columns and the outputs: a float (float32) or an array of them for `probability` and `raw`, and for `prediction` a
        value of the label's type, or a double.

    Raises:
        ConfigError: an argument can't be used.
        StorageError: there is no such finished run.
        InputError: the run has no signature, or the pipeline can't be applied.
        MissingColumn: the frame lacks columns that the model was trained with, or they have other types.

    Example:
        >>> late = sparktrain.score(flights, "hdfs:///models/late/latest", keep=["flight_id"])   # doctest: +SKIP
    """
    kinds = _checked(output, batch_size, nulls)
    spark = frame.sparkSession
    hadoop = hadoop_settings(spark)
    url = model.output if isinstance(model, Result) else resolve(qualified(spark, model), hadoop)
    if url is None:
        raise ConfigError([Problem("model", "a run that left no model", "a finished run, or the URL of its folder")])
    folder = open_folder(url, hadoop)
    signature = _signature(folder)
    summary = (model if isinstance(model, Result) else Result.of_folder(folder, hadoop)).summary
    outputs = scored_outputs(signature.outputs, compiled_losses(folder))
    columns = _columns(outputs, kinds)
    kept = list(frame.columns) if keep is None else [str(name) for name in keep]
    _check_kept(frame, kept, [name for name, _, _ in columns])

    prepared = frame
    if signature.pipeline:
        with explained():
            prepared = PipelineModel.load(f"{url}/pipeline").transform(frame)
    needed = list(dict.fromkeys(column.column for each in signature.inputs for column in each.columns))
    _check_columns(prepared, needed, signature)
    chosen = select(prepared, needed, *(name for name in kept if name not in needed))
    _check_types(chosen, signature)
    ship(spark.sparkContext, summary.get("modules") or (), search_folders())
    plan = ScorePlan(
        url=url,
        hadoop=hadoop,
        model=f"{url} {summary.get('finished')}",
        inputs=tuple(_input(each) for each in signature.inputs),
        rows=tuple((tuple(each.shape), each.dtype) for each in signature.inputs),
        outputs=outputs,
        columns=columns,
        kept=tuple(kept),
        batch_size=batch_size,
        keep_nulls=nulls == "keep",
    )
    kept_fields = [StructField(name, chosen.schema[name].dataType) for name in kept]
    scored_fields = [StructField(name, _type(outputs[number], kind)) for name, number, kind in columns]
    return chosen.mapInArrow(partial(score_batches, plan), StructType([*kept_fields, *scored_fields]))


def _checked(output: str | Sequence[str], batch_size: int, nulls: str) -> list[Kind]:
    asked = [output] if isinstance(output, str) else list(output)
    kinds = [kind for kind in KINDS if kind in asked]
    problems = []
    if not asked or len(kinds) != len(set(asked)):
        problems.append(Problem("output", f"{output!r} came", f"one or several of {', '.join(KINDS)}"))
    if batch_size < 1:
        problems.append(Problem("batch_size", f"{batch_size} came", "a whole number from 1"))
    if nulls not in ("refuse", "keep"):
        problems.append(Problem("nulls", f"{nulls!r} came", "refuse or keep"))
    if problems:
        raise ConfigError(problems)
    return kinds


def _signature(folder: Folder) -> Signature:
    try:
        return Signature.model_validate_json(folder.read_text("signature.json"))
    except NotFound as error:
        raise InputError(
            f"{folder.url} has no signature.json: its run was trained by a version of sparktrain that wrote none. Expected a run "
            "that tells what its model takes; train it again"
        ) from error


def _columns(outputs: Sequence[ScoredOutput], kinds: Sequence[Kind]) -> tuple[tuple[str, int, Kind], ...]:
    several = len(outputs) > 1
    of_classes = [output for output in outputs if output.decides != "value"]
    return tuple(
        (f"{kind}_{output.name}" if several else kind, number, kind)
        for number, output in enumerate(outputs)
        for kind in kinds
        if kind != "probability" or output in of_classes or not of_classes  # a number beside classes has none
    )


def _check_kept(frame: DataFrame, kept: Sequence[str], made: Sequence[str]) -> None:
    absent = [name for name in kept if name not in frame.columns]
    twice = [name for name in made if name in kept]
    problems = []
    if absent:
        problems.append(Problem("keep", f"the frame has no column {', '.join(map(repr, absent))}", f"of {frame.columns}"))
    if twice:
        came = f"the frame's own column {', '.join(map(repr, twice))} would be there twice"
        problems.append(Problem("keep", came, "columns of other names", "leave it out of `keep`, or rename it"))
    if problems:
        raise ConfigError(problems)


def _check_columns(frame: DataFrame, needed: Sequence[str], signature: Signature) -> None:
    absent = unknown(needed, frame.schema)
    if not absent:
        return
    made_by = f" In training, {signature.preprocess} made the frame: apply it first." if signature.preprocess else ""
    raise MissingColumn(
        f"the model was trained with the column{'s' if len(absent) > 1 else ''} {', '.join(map(repr, absent))}, which the frame "
        f"lacks. Its columns are: {', '.join(frame.columns)}.{made_by}"
    )


def _check_types(frame: DataFrame, signature: Signature) -> None:
    """Refuse columns of strings where training had numbers, and vice versa, before a row is read."""
    for each in signature.inputs:
        for column in each.columns:
            kind = frame.schema[column.column].dataType
            try:
                dtype = dtype_name(element_dtype(column.column, arrow_type(kind)))
            except (BadInput, PySparkException) as error:
                raise UnfitColumn(f"column {column.column!r} ({kind.simpleString()}): {error}") from error
            if (dtype == "string") != (each.dtype == "string"):
                raise UnfitColumn(
                    f"column {column.column!r} ({kind.simpleString()}) gives {dtype}, but the model's input {each.name!r} was trained "
                    f"with {each.dtype}: cast the column as it was in training"
                )


def _input(each: SignatureInput) -> Input:
    return Input(
        each.feature,
        tuple(
            Column(one.column, None if one.shape is None else tuple(one.shape), one.length, one.pad, one.side)
            for one in each.columns
        ),
    )


def _type(output: ScoredOutput, kind: Kind) -> DataType:
    """Return the type of a column of an output, with an array for each axis of a row that a prediction doesn't take away."""
    if kind == "prediction" and output.decides != "value":
        found: DataType = DoubleType() if output.classes is None else _OF_CLASSES[type(output.classes[0])]()
        sizes = output.shape[:-1]
    else:
        sizes = () if output.shape in ((), (1,)) else output.shape
        found = DoubleType() if kind == "prediction" and not sizes else FloatType()
    for _ in sizes:
        found = ArrayType(found)
    return found
