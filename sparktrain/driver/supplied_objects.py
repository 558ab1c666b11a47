"""Objects that a program passes in place of names in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.sql import DataFrame

from sparktrain.data import Prepared


@dataclass(frozen=True)
class SuppliedObjects:
    """Objects that a program passes in place of names in the configuration.

    Attributes:
        frame: the rows, in place of data.path, table, sql or prepared.
        prepared: rows that are prepared already, in place of the whole section `data` except features, label and weight.
        pipeline: a Spark ML Pipeline, fitted on the training rows, or a PipelineModel, in place of data.pipeline.
        model: a function that returns a compiled model, or a compiled model.
        preprocess: DataFrame, **args -> DataFrame.
        callbacks: a function that returns Keras callbacks.
    """

    frame: DataFrame | None = None
    prepared: Prepared | None = None
    pipeline: Estimator | Transformer | None = None
    model: Any = None
    preprocess: Callable[..., DataFrame] | None = None
    callbacks: Callable[..., Sequence[Any]] | None = None

    @classmethod
    def from_keywords(cls, frame: DataFrame, model: Any, keywords: dict[str, Any]) -> SuppliedObjects:
        """Return a program's frame and model with the objects among its keyword arguments, which are removed from these."""
        pipeline = keywords.pop("pipeline") if isinstance(keywords.get("pipeline"), (Estimator, Transformer)) else None
        callbacks = None if isinstance(keywords.get("callbacks"), str) else keywords.pop("callbacks", None)
        return cls(frame=frame, model=model, pipeline=pipeline, callbacks=callbacks)

    @property
    def functions(self) -> tuple[Any, ...]:
        """preprocess, model and callbacks; None for each that isn't passed."""
        return self.preprocess, self.model, self.callbacks
