"""Spark ML's part of the preparation: a saved Pipeline, fitted on training rows only, or a fitted one as it is."""

from __future__ import annotations

import json
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.ml import Estimator, Pipeline, PipelineModel, Transformer
from pyspark.ml.param.shared import HasOutputCol, HasOutputCols
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparktrain.data.errors import InputError, MissingColumn, first_line, require_columns
from sparktrain.data.files import files_under, place_of, qualified, read_file
from sparktrain.data.identity import ROW, VALIDATION, row_hash

# What a saved stage tells of its saving, or of the Spark that did it. A pipeline's own uid is a new one where a single
# stage was wrapped; those of its stages are in the folders' names.
_OF_A_SAVING = ("timestamp", "sparkVersion", "uid", "defaultParamMap")


def load(spark: SparkSession, url: str) -> Estimator | Transformer:
    """What was saved at a URL: a Pipeline, a PipelineModel or a stage of its own.

    Raises:
        InputError: nothing of the kind is there.
    """
    try:
        return DefaultParamsReader.loadParamsInstance(url, spark)
    except (AnalysisException, IllegalArgumentException, Py4JJavaError, AttributeError, ImportError) as error:
        raise InputError(
            f"data.pipeline: {url} can't be loaded as a Spark ML Pipeline or PipelineModel: "
            f"{first_line(error)} Save one with pipeline.write().overwrite().save({url!r})."
        ) from error


def columns_after(stages: Estimator | Transformer, frame: DataFrame) -> list[str] | None:
    """The columns that there will be, before anything is fitted; None where only fitting can tell.

    Raises:
        MissingColumn: a stage asks for a column that isn't there.
    """
    parts = stages.getStages() if isinstance(stages, Pipeline) else getattr(stages, "stages", [stages])
    if not all(hasattr(part, "_to_java") for part in parts):
        return None
    try:
        whole: Any = stages  # has `_to_java`, of which pyspark's types know nothing, as all its parts do
        told = list(whole._to_java().transformSchema(frame._jdf.schema()).fieldNames())
    except (IllegalArgumentException, AnalysisException, Py4JJavaError) as error:
        # Not every estimator tells the columns that it will make (Spark's TargetEncoder doesn't): fitting will.
        if any(f"`{name}`" in first_line(error) for part in parts for name in _made(part)):
            return None
        raise MissingColumn(
            f"data.pipeline can't be applied: {first_line(error)} The columns before it are: {', '.join(frame.columns)}."
        ) from error
    return told + [name for part in parts for name in _made(part) if name not in told]


def _made(stage: Estimator | Transformer) -> list[str]:
    """The columns that a stage says it makes."""
    one = [cast(HasOutputCol, stage).getOutputCol()] if stage.hasParam("outputCol") else []
    several = stage.hasParam("outputCols") and stage.isDefined("outputCols")
    return one + (cast(HasOutputCols, stage).getOutputCols() if several else [])


def fitted(stages: Estimator | Transformer, training: DataFrame) -> PipelineModel:
    """A PipelineModel of stages that are fitted, where they have to be, on the rows given."""
    model = stages.fit(training) if isinstance(stages, Estimator) else stages
    return model if isinstance(model, PipelineModel) else PipelineModel([model])


def applied(model: PipelineModel, frame: DataFrame) -> DataFrame:
    """The frame with the pipeline's columns.

    Raises:
        MissingColumn: the pipeline asks for a column that isn't there, or drops the rows' hash or mark.
    """
    try:
        result = model.transform(frame)
    except (IllegalArgumentException, AnalysisException, Py4JJavaError) as error:
        raise MissingColumn(
            f"the pipeline can't be applied: {first_line(error)} The columns before it are: {', '.join(frame.columns)}."
        ) from error
    require_columns(
        [ROW, VALIDATION],
        result.columns,
        "the pipeline must pass on all columns (in an SQLTransformer: SELECT *, …); what it gives",
    )
    return result


def label_names(frame: DataFrame, label: str) -> list[str] | None:
    """The values that the numbers of a label column stand for, where a StringIndexer made it."""
    values = frame.schema[label].metadata.get("ml_attr", {}).get("vals") if label in frame.columns else None
    return list(values) if values else None


def same_pipelines(spark: SparkSession, one: str, other: str) -> bool:
    """Whether two folders hold the same fitted pipeline, whoever saved it and when, or both hold none.

    The same is what has the same stages, by their uids, with the same parameters and the same fitted data.

    Args:
        one: the URL of a saved PipelineModel, or of nothing.
        other: likewise.
    """
    return _content(spark, one) == _content(spark, other)


def _content(spark: SparkSession, url: str) -> dict[str, Any]:
    """What a saved pipeline has, by its folders: parameters as they are, data by its rows' number and hashes."""
    place, system = place_of(spark, url)
    if not system.exists(place):
        return {}
    found: dict[str, Any] = {}
    for name, file in files_under(spark, url, "the pipeline").items():
        folder = name.rpartition("/")[0]
        if name.endswith(".parquet"):
            if folder not in found:
                rows = spark.read.parquet(f"{qualified(spark, url)}/{folder}")
                total = F.sum(row_hash(rows, 0).cast("decimal(38,0)"))
                found[folder] = tuple(rows.agg(F.count("*"), total).collect()[0])
        elif folder.rpartition("/")[2] == "metadata":
            content = read_file(spark, file.path)
            assert content is not None  # it was listed a moment ago
            about = json.loads(content)
            found[folder] = {key: value for key, value in about.items() if key not in _OF_A_SAVING}
        else:  # a stage that writes in a way of its own
            found[name] = read_file(spark, file.path)
    return found
