"""Trained Keras models as models of Spark ML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.ml import Model
from pyspark.ml.functions import array_to_vector
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sparktrain.data.identity import column
from sparktrain.ml.frame_scorer import FrameScorer, read_signature
from sparktrain.ml.keras_params import HasClassColumns, HasColumns
from sparktrain.ml.persistence import ModelReader, ModelWriter
from sparktrain.ml.training_params import spark_ml_class
from sparktrain.runs.records.signature import Signature
from sparktrain.runs.result import Result
from sparktrain.storage import open_folder


@dataclass(frozen=True)
class KerasSummary:
    """How a model was trained.

    Attributes:
        history: each metric's values, one an epoch.
        metrics: the metrics of the last epoch, or of the best with `savedEpoch: best`.
        rows: training rows, after sampling.
        epochs: epochs trained.
        workers: training processes.
        rows_per_second: rows of all workers a second while they trained; None if it isn't recorded.
        seconds: wall time by phase.
    """

    history: dict[str, list[float]]
    metrics: dict[str, float]
    rows: int
    epochs: int
    workers: int
    rows_per_second: float | None
    seconds: dict[str, float]


class KerasModel(Model, MLReadable["KerasModel"], MLWritable):
    """What the trained models have in common.

    Attributes:
        result: the run that trained the model, with its `model`, a compiled Keras model, its `history`, `metrics` and `output`.
    """

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result
        self._read: Signature | None = None
        self._scorer: tuple[Any, FrameScorer] | None = None  # the last one, and what it was made for

    @property
    def summary(self) -> KerasSummary:
        """How the model was trained."""
        result, summary = self.result, self.result.summary
        return KerasSummary(
            result.history,
            result.metrics,
            result.rows,
            result.epochs,
            result.workers,
            summary.get("rows_per_second"),
            summary.get("seconds", {}),
        )

    def write(self) -> MLWriter:
        """Return a writer, as of any model of Spark ML. It copies the run's folder."""
        return ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """Return a reader, as of any model of Spark ML."""
        return ModelReader(cls)

    def _score(self, frame: DataFrame, kept: list[str], names: dict[str, str], features: str | None = None) -> DataFrame:
        """Return the kept columns of a frame with the model's outputs.

        Args:
            names: the name of the column for each kind of output.
            features: the frame's column for the model's only input; None if the columns have the names of training.
        """
        spark: SparkSession = frame.sparkSession
        asked = (spark, tuple(kept), tuple(names.items()), features)
        if self._scorer is None or self._scorer[0] != asked:
            columns = {} if features is None else {self._signature.inputs[0].columns[0].column: features}
            self._scorer = asked, FrameScorer(spark, self.result, output=list(names), keep=kept, names=names, columns=columns)
        return self._scorer[1](frame)

    @property  # not a cached_property: Spark ML's `params` reads all attributes but plain properties
    def _signature(self) -> Signature:
        if self._read is None:
            self._read = read_signature(open_folder(str(self.result.output), self.result.hadoop))
        return self._read


@spark_ml_class
class KerasClassificationModel(KerasModel, HasClassColumns):
    """A trained classifier, by `KerasClassifier`. Its `transform` adds the predicted class, probabilities and the model's numbers."""

    @property
    def numClasses(self) -> int:
        """How many classes it tells apart."""
        last = self._shape()[-1:] or (1,)
        return 2 if last[0] in (1, None) else int(last[0])

    def _shape(self) -> tuple[int | None, ...]:
        return tuple(self._signature.outputs[0].shape)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        frame, features = self._features(dataset)
        names = {kind: self.getOrDefault(param) for kind, param in _OF_KINDS.items() if self.getOrDefault(param)}
        scored = self._score(frame, list(dataset.columns), names, features)
        one = not self._shape() or self._shape()[-1] == 1
        vectors = {name: _vector(column(name), kind, one) for kind, name in names.items() if kind != "index"}
        made = (vectors[name].alias(name) if name in vectors else column(name) for name in names.values())
        return scored.select(*map(column, dataset.columns), *made)


_OF_KINDS = {
    "raw": "rawPredictionCol",
    "probability": "probabilityCol",
    "index": "predictionCol",
}  # in the order of Spark ML's own


def _vector(numbers: Column, kind: str, one: bool) -> Column:
    """Return a vector with a number for each class, as Spark ML's classifiers have; of one number, two are made."""
    if one:
        first = F.lit(1.0) - numbers if kind == "probability" else -numbers
        numbers = F.when(numbers.isNotNull(), F.array(first.cast("double"), numbers.cast("double")))
    return array_to_vector(numbers.cast("array<double>"))


@spark_ml_class
class KerasRegressionModel(KerasModel, HasColumns):
    """A trained model of a number, by `KerasRegressor`. Its `transform` adds the predicted number."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        frame, features = self._features(dataset)
        return self._score(frame, list(dataset.columns), {"prediction": self.getOrDefault("predictionCol")}, features)


@spark_ml_class
class KerasEstimatorModel(KerasModel):
    """A trained model with any inputs and outputs, by `KerasEstimator`. Its `transform` adds what `scores` names for each output."""

    scores: Param[list[str]] = Param(
        Params._dummy(),
        "scores",
        "What is added to a frame, as sparktrain.score names it.",
        typeConverter=TypeConverters.toListString,
    )

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self._setDefault(scores=["prediction"])

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return self._score(dataset, list(dataset.columns), {kind: kind for kind in self.getOrDefault("scores")})
