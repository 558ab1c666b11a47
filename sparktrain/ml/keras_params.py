"""The Params that the Keras estimators and their models share: the columns, and how the model is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasValidationIndicatorCol,
    HasWeightCol,
)
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparktrain.data import InputError, MissingColumn
from sparktrain.data.identity import column
from sparktrain.usercode.lookup import goes_by_name

_TOGETHER = "sparktrain_features"  # the column of an array that several columns become


def _columns(value: Any) -> str | list[str]:
    if isinstance(value, str):
        return value
    return TypeConverters.toListString(value)


def _build(value: Any) -> Any:
    """Return a function, `module:function`, or a compiled Keras model."""
    named = isinstance(value, str) and value.count(":") == 1
    if not named and not callable(value):  # a Keras model can be called
        raise TypeError(
            f"{value!r} came; expected a function that returns a compiled model, module:function, or a compiled model"
        )
    return value


class HasBuild(Params):
    """The model's function."""

    build: Param[Any] = Param(
        Params._dummy(),
        "build",
        "A function that returns a compiled Keras model, called as build(**args) in every worker; its name as module:function; or a "
        "compiled model, whose weights are trained further.",
        typeConverter=_build,
    )

    def _builder(self) -> Any:
        """Return the function or the model.

        Raises:
            InputError: there is none.
        """
        if not self.isDefined("build"):
            raise InputError("build: nothing came; expected a function that returns a compiled Keras model")
        return self.getOrDefault("build")


class HasColumns(HasLabelCol, HasPredictionCol, HasWeightCol, HasValidationIndicatorCol):
    """The columns of an estimator with one input and one output."""

    featuresCol: Param[Any] = Param(
        Params._dummy(),
        "featuresCol",
        "The column of the model's input, a vector, an array or a number; or a list of columns of numbers, side by side.",
        typeConverter=_columns,
    )

    def _features(self, frame: DataFrame) -> tuple[DataFrame, str]:
        """Return a frame with the model's input in one column, and that column's name.

        Raises:
            MissingColumn: the frame lacks one of the columns.
        """
        columns = self.getOrDefault("featuresCol")
        self._require(frame, columns if isinstance(columns, list) else [columns])
        if isinstance(columns, str):
            return frame, columns
        together = F.array(*(column(name).cast("float") for name in columns))
        return frame.withColumn(_TOGETHER, together), _TOGETHER

    def _require(self, frame: DataFrame, names: Sequence[str]) -> None:
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise MissingColumn(
                f"{type(self).__name__}: the frame has no column {', '.join(map(repr, absent))}. Its columns are: {', '.join(frame.columns)}"
            )


class HasClassColumns(HasColumns, HasProbabilityCol, HasRawPredictionCol):
    """The columns of a classifier."""


def check_class_numbers(frame: DataFrame, name: str) -> None:
    """Refuse labels that aren't the numbers of classes.

    Args:
        name: the label's column.

    Raises:
        InputError: they are texts, have nulls, or aren't 0, 1, 2, …; the message says what to do.
    """
    kind = frame.schema[name].dataType
    advice = "Expected the classes' numbers 0, 1, 2, …: put a StringIndexer in front, and name its output as labelCol"
    if not hasattr(kind, "typeName") or kind.typeName() not in ("double", "float", "integer", "long", "short", "byte", "boolean"):
        raise InputError(f"labelCol {name!r} has values of the type {kind.simpleString()}. {advice}")
    value = column(name).cast("double")
    wrong = value.isNull() | F.isnan(value) | (value < 0) | (value != F.floor(value))
    row = frame.agg(
        F.count(F.when(wrong, 1)).alias("wrong"), F.first(F.when(wrong, value), ignorenulls=True).alias("one")
    ).first()
    assert row is not None  # an aggregate has one
    if row.wrong:
        came = "null" if row.one is None else f"{row.one:g}"
        raise InputError(f"labelCol {name!r} has {row.wrong:,} rows that are no class numbers, such as {came}. {advice}")


def is_keras_model(value: Any) -> bool:
    """Return whether a value of `build` is a Keras model and not a function."""
    return not isinstance(value, str) and not goes_by_name(value) and hasattr(value, "get_compile_config")
