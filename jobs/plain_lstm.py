"""The model of the comparison."""

from __future__ import annotations

import keras


def build_model(steps: int = 8, features: int = 10, units: int = 64) -> keras.Model:
    """A plain LSTM with Adadelta."""
    model = keras.Sequential(
        [
            keras.Input((steps, features), name="history"),
            keras.layers.LSTM(units),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adadelta(1.0), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    return model
