"""Uses Keras models in Spark ML: estimators and their models as stages of Pipelines, and scoring of a frame."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "KerasClassificationModel": "ml.keras_models",
    "KerasClassifier": "ml.estimators",
    "KerasEstimator": "ml.estimators",
    "KerasEstimatorModel": "ml.keras_models",
    "KerasRegressionModel": "ml.keras_models",
    "KerasRegressor": "ml.estimators",
    "score": "ml.scoring",
}
__all__ = [
    "KerasClassificationModel",
    "KerasClassifier",
    "KerasEstimator",
    "KerasEstimatorModel",
    "KerasRegressionModel",
    "KerasRegressor",
    "score",
]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
