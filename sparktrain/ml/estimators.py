"""Keras models as estimators of Spark ML."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pyspark.ml import Estimator
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparktrain.config import ConfigError, Problem
from sparktrain.data.identity import quoted
from sparktrain.driver.api import train
from sparktrain.ml.keras_models import KerasClassificationModel, KerasEstimatorModel, KerasModel, KerasRegressionModel
from sparktrain.ml.keras_params import HasBuild, HasClassColumns, HasColumns, check_class_numbers
from sparktrain.ml.persistence import EstimatorReader, EstimatorWriter
from sparktrain.ml.training_params import TrainingParams, spark_ml_class
from sparktrain.runs.result import Result
from sparktrain.usercode.lookup import resolve, search_folders

M = TypeVar("M", bound=KerasModel)


class KerasTrainer(Estimator[M], TrainingParams, HasBuild, MLReadable["KerasTrainer[M]"], MLWritable, Generic[M]):
    """What the Keras estimators have in common: `build`, the settings of a training, and how they are saved."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self._set_all({name: value for name, value in given.items() if value is not None})

    def setParams(self, **given: Any) -> KerasTrainer[M]:
        """Set Params by their names.

        Raises:
            ConfigError: there are no such Params; the message says what to use instead.
            TypeError: a value can't be used.
        """
        self._set_all(given)
        return self

    def write(self) -> MLWriter:
        """Return a writer, as of any stage of Spark ML."""
        return EstimatorWriter(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """Return a reader, as of any stage of Spark ML. Code of a script or a notebook is loaded only where that is allowed."""
        return EstimatorReader(cls)

    def _trained(self, frame: DataFrame, **words: Any) -> Result:
        build = self._builder()
        if isinstance(build, str):
            build = resolve(build, search_folders())
        return train(frame, build, name=type(self).__name__, **{**self._words(), **words})

    def _finished(self, model: M) -> M:
        return self._copyValues(model._resetUid(self.uid))


class _OneOutput(KerasTrainer[M], HasColumns):
    """An estimator with one input and one label."""

    def _one(self, frame: DataFrame) -> Result:
        words: dict[str, Any] = {}
        label = self.getOrDefault("labelCol")
        named = [label]
        for param, word in (("weightCol", "weight"), ("validationIndicatorCol", "validation")):
            if self.isDefined(param) and self.getOrDefault(param):
                name = self.getOrDefault(param)
                named.append(name)
                words[word] = name if word == "weight" else {"where": quoted(name)}
        frame, features = self._features(frame)
        self._require(frame, named)
        return self._trained(frame, features=[features], label=label, **words)


@spark_ml_class
class KerasClassifier(_OneOutput[KerasClassificationModel], HasClassColumns):
    """Trains a Keras model that classifies rows, as a stage of Spark ML.

    Args:
        build: a function that returns a compiled Keras model, `module:function`, or a compiled model. Its last layer gives a number for
            each class, or one number for two classes.
        featuresCol: the column of the model's input (a vector, an array or a number), or a list of columns of numbers.
        labelCol: the column of the classes' numbers 0, 1, 2, …, as StringIndexer makes them.
        predictionCol: the name of the column for the predicted class, a double.
        probabilityCol: the name of the column for the classes' probabilities, a vector; empty for none.
        rawPredictionCol: the name of the column for the model's numbers, a vector; empty for none.
        weightCol: a column with the rows' weights in the loss.
        validationIndicatorCol: a column that is true for the rows to validate on.
        **training: the settings of `sparktrain.train` in Spark ML's spelling: batchSize, epochs, workers, engine, earlyStopping, args, ….

    Raises:
        ConfigError: there is no such parameter; the message says what to use instead.
        TypeError: a value can't be used.

    Example:
        >>> KerasClassifier(build=build_model, featuresCol="features", labelCol="late", workers=2).fit(flights)   # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        build: Any = None,
        featuresCol: str | list[str] | None = None,
        labelCol: str | None = None,
        predictionCol: str | None = None,
        probabilityCol: str | None = None,
        rawPredictionCol: str | None = None,
        weightCol: str | None = None,
        validationIndicatorCol: str | None = None,
        **training: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "training", "__class__")}
        super().__init__(**given, **training)
        self._setDefault(featuresCol="features")

    def _fit(self, dataset: DataFrame) -> KerasClassificationModel:
        self._builder()
        label = self.getOrDefault("labelCol")
        self._require(dataset, [label])
        check_class_numbers(dataset, label)
        return self._finished(KerasClassificationModel(self._one(dataset)))


@spark_ml_class
class KerasRegressor(_OneOutput[KerasRegressionModel]):
    """Trains a Keras model that predicts a number, as a stage of Spark ML.

    Args:
        build: a function that returns a compiled Keras model, `module:function`, or a compiled model.
        featuresCol: the column of the model's input (a vector, an array or a number), or a list of columns of numbers.
        labelCol: the column of the number.
        predictionCol: the name of the column for the predicted number, a double.
        weightCol: a column with the rows' weights in the loss.
        validationIndicatorCol: a column that is true for the rows to validate on.
        **training: the settings of `sparktrain.train` in Spark ML's spelling.

    Raises:
        ConfigError: there is no such parameter; the message says what to use instead.
        TypeError: a value can't be used.
    """

    def __init__(
        self,
        *,
        build: Any = None,
        featuresCol: str | list[str] | None = None,
        labelCol: str | None = None,
        predictionCol: str | None = None,
        weightCol: str | None = None,
        validationIndicatorCol: str | None = None,
        **training: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "training", "__class__")}
        super().__init__(**given, **training)
        self._setDefault(featuresCol="features")

    def _fit(self, dataset: DataFrame) -> KerasRegressionModel:
        self._builder()
        return self._finished(KerasRegressionModel(self._one(dataset)))


@spark_ml_class
class KerasEstimator(KerasTrainer[KerasEstimatorModel]):
    """Trains a Keras model with any inputs and outputs, as a stage of Spark ML.

    Args:
        build: a function that returns a compiled Keras model, `module:function`, or a compiled model.
        features: the columns of the model's inputs, in their order or by their names, as `sparktrain.train` takes them.
        label: the columns of the model's outputs, as `sparktrain.train` takes them.
        scores: what the fitted model adds to a frame, a list of `prediction`, `probability`, `raw` and `index`, as `sparktrain.score`
            names them.
        weight: a column with the rows' weights in the loss.
        validation: which rows to validate on, as `sparktrain.train` takes it.
        **training: the settings of `sparktrain.train` in Spark ML's spelling.

    Raises:
        ConfigError: there is no such parameter; the message says what to use instead.
        TypeError: a value can't be used.
    """

    features: Param[Any] = Param(Params._dummy(), "features", "The columns of the inputs, as sparktrain.train takes them.")
    label: Param[Any] = Param(Params._dummy(), "label", "The columns of the outputs, as sparktrain.train takes them.")
    weight: Param[str] = Param(
        Params._dummy(), "weight", "A column with the rows' weights.", typeConverter=TypeConverters.toString
    )
    validation: Param[Any] = Param(Params._dummy(), "validation", "Which rows to validate on, as sparktrain.train takes it.")
    scores: Param[list[str]] = Param(
        Params._dummy(),
        "scores",
        "What is added to a frame, as sparktrain.score names it.",
        typeConverter=TypeConverters.toListString,
    )

    def __init__(
        self,
        *,
        build: Any = None,
        features: Any = None,
        label: Any = None,
        scores: list[str] | None = None,
        weight: str | None = None,
        validation: Any = None,
        **training: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "training", "__class__")}
        super().__init__(**given, **training)
        self._setDefault(scores=["prediction"])

    def _fit(self, dataset: DataFrame) -> KerasEstimatorModel:
        missing = [name for name in ("features", "label") if not self.isDefined(name)]
        if missing:
            expected = "columns, as sparktrain.train takes them"
            raise ConfigError([Problem(name, "nothing came", expected) for name in missing], type(self).__name__)
        words = {name: self.getOrDefault(name) for name in ("features", "label", "weight", "validation") if self.isDefined(name)}
        return self._finished(KerasEstimatorModel(self._trained(dataset, **words)))
