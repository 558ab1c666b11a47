"""Loads, fits and applies Spark ML pipelines: a Pipeline is fitted on training rows only, a fitted one used as it is."""

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

# Metadata of a saved stage that depend on when and by which Spark it was saved. A pipeline's own uid is new if a single stage
# was wrapped; those of its stages are in the folders' names.
_OF_A_SAVING = ("timestamp", "sparkVersion", "uid", "defaultParamMap")


def load(spark: SparkSession, url: str) -> Estimator | Transformer:
    """Load a saved Pipeline, PipelineModel or single stage from a URL.

    Raises:
        InputError: there is none.
    """
    try:
        return DefaultParamsReader.loadParamsInstance(url, spark)
    except (AnalysisException, IllegalArgumentException, Py4JJavaError, AttributeError, ImportError) as error:
        raise InputError(
            f"data.pipeline: {url} can't be loaded as a Spark ML Pipeline or PipelineModel: "
            f"{first_line(error)} Save one with pipeline.write().overwrite().save({url!r})."
        ) from error


def columns_after(stages: Estimator | Transformer, frame: DataFrame) -> list[str] | None:
    """Return the columns that a frame will have after the stages, before they are fitted; None if only fitting can tell.

    Raises:
        MissingColumn: a stage needs a column that isn't there.
    """
    parts = stages.getStages() if isinstance(stages, Pipeline) else getattr(stages, "stages", [stages])
    if not all(hasattr(part, "_to_java") for part in parts):
        return None
    try:
        whole: Any = stages  # has `_to_java`, of which pyspark's types know nothing, as all its parts do
        declared = list(whole._to_java().transformSchema(frame._jdf.schema()).fieldNames())
    except (IllegalArgumentException, AnalysisException, Py4JJavaError) as error:
        # Not every estimator declares its output columns before fitting (Spark's TargetEncoder doesn't).
        if any(f"`{name}`" in first_line(error) for part in parts for name in _made(part)):
            return None
        raise MissingColumn(
            f"data.pipeline can't be applied: {first_line(error)} The columns before it are: {', '.join(frame.columns)}."
        ) from error
    return declared + [name for part in parts for name in _made(part) if name not in declared]


def _made(stage: Estimator | Transformer) -> list[str]:
    """Return the output columns that a stage declares."""
    one = [cast(HasOutputCol, stage).getOutputCol()] if stage.hasParam("outputCol") else []
    several = stage.hasParam("outputCols") and stage.isDefined("outputCols")
    return one + (cast(HasOutputCols, stage).getOutputCols() if several else [])


def fitted(stages: Estimator | Transformer, training: DataFrame) -> PipelineModel:
    """Return the stages as a PipelineModel, fitted on the given rows if they aren't yet."""
    model = stages.fit(training) if isinstance(stages, Estimator) else stages
    return model if isinstance(model, PipelineModel) else PipelineModel([model])


def applied(model: PipelineModel, frame: DataFrame) -> DataFrame:
    """Return the frame with the pipeline's columns.

    Raises:
        MissingColumn: the pipeline needs a column that isn't there, or drops the rows' hash or mark.
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
        "the pipeline must keep all columns (in an SQLTransformer: SELECT *, …); its result",
    )
    return result


def label_names(frame: DataFrame, label: str) -> list[str] | None:
    """Return the values that the numbers in a label column stand for, if a StringIndexer made it; else None."""
    values = frame.schema[label].metadata.get("ml_attr", {}).get("vals") if label in frame.columns else None
    return list(values) if values else None


def same_pipelines(spark: SparkSession, one: str, other: str) -> bool:
    """Return whether two folders have the same fitted pipeline, no matter who saved it and when, or both have none.

    Pipelines are the same if they have the same stages, by uid, with the same parameters and fitted data.

    Args:
        one: the URL of a saved PipelineModel; nothing need be there.
        other: the URL to compare it with.
    """
    return _content(spark, one) == _content(spark, other)


def _content(spark: SparkSession, url: str) -> dict[str, Any]:
    """Return the content of a saved pipeline by its folders: parameters, and the count and hash of the rows of its data."""
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
        else:  # a stage with its own format
            found[name] = read_file(spark, file.path)
    return found
