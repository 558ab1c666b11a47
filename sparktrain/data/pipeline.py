"""Spark ML's part of the preparation: a saved Pipeline, fitted on training rows only, or a fitted one as it is."""

from __future__ import annotations

from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.ml import Estimator, Pipeline, PipelineModel, Transformer
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import DataFrame, SparkSession
from py4j.protocol import Py4JJavaError

from sparktrain.data.errors import InputError, MissingColumn, first_line, require_columns
from sparktrain.data.identity import ROW, VALIDATION


def load(spark: SparkSession, url: str) -> Estimator | Transformer:
    """What was saved at a URL: a Pipeline, a PipelineModel or a stage of its own.

    Raises:
        InputError: nothing of the kind is there.
    """
    try:
        return DefaultParamsReader.loadParamsInstance(url, spark)
    except (AnalysisException, IllegalArgumentException, Py4JJavaError, AttributeError, ImportError) as error:
        raise InputError(f"data.pipeline: {url} can't be loaded as a Spark ML Pipeline or PipelineModel: "
                         f"{first_line(error)} Save one with pipeline.write().overwrite().save({url!r}).") from error


def columns_after(stages: Estimator | Transformer, frame: DataFrame) -> list[str] | None:
    """The columns that there will be, before anything is fitted; None where only fitting can tell.

    Raises:
        MissingColumn: a stage asks for a column that isn't there.
    """
    parts = stages.getStages() if isinstance(stages, Pipeline) else getattr(stages, "stages", [stages])
    if not all(hasattr(part, "_to_java") for part in parts):
        return None
    try:
        told = list(stages._to_java().transformSchema(frame._jdf.schema()).fieldNames())
    except (IllegalArgumentException, AnalysisException, Py4JJavaError) as error:
        # Not every estimator tells the columns that it will make (Spark's TargetEncoder doesn't): fitting will.
        if any(f"`{name}`" in first_line(error) for part in parts for name in _made(part)):
            return None
        raise MissingColumn(f"data.pipeline can't be applied: {first_line(error)} "
                            f"The columns before it are: {', '.join(frame.columns)}.") from error
    return told + [name for part in parts for name in _made(part) if name not in told]


def _made(stage: Estimator | Transformer) -> list[str]:
    """The columns that a stage says it makes."""
    one = [stage.getOutputCol()] if stage.hasParam("outputCol") else []
    return one + (stage.getOutputCols() if stage.hasParam("outputCols") and stage.isDefined("outputCols") else [])


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
        raise MissingColumn(f"the pipeline can't be applied: {first_line(error)} "
                            f"The columns before it are: {', '.join(frame.columns)}.") from error
    require_columns([ROW, VALIDATION], result.columns,
                    "the pipeline must pass on all columns (in an SQLTransformer: SELECT *, …); what it gives")
    return result


def label_names(frame: DataFrame, label: str) -> list[str] | None:
    """The values that the numbers of a label column stand for, where a StringIndexer made it."""
    values = frame.schema[label].metadata.get("ml_attr", {}).get("vals") if label in frame.columns else None
    return list(values) if values else None
