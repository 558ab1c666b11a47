"""Lists the parts of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from sparktrain.models.optimizers import optimizers_of


def parts(model: keras.Model) -> Iterator[Any]:
    """Yield the parts of a model that are saved with it: layers, optimizers, losses, metrics."""
    # Inner layers come after the layer that holds them
    yield from reversed(list(model._flatten_layers(include_self=False)))
    yield from optimizers_of(model)
    yield from (loss for loss in keras.tree.flatten(model.loss) if loss is not None)
    yield from (inner for metric in model.metrics for inner in getattr(metric, "metrics", [metric]))
