"""A trained model's signature: its inputs and outputs by name, shape and dtype, with an example row."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.feed import MORE_LABEL, Shard, dtype_name
from sparktrain.models.names import input_names, output_names

_LARGEST_EXAMPLE = 10_000  # numbers of an example row, all inputs together: it goes through the driver


def signature_of(model: keras.Model, template: Any, shard: Shard) -> dict[str, Any]:
    """Return the names, shapes and dtypes of a model's inputs and outputs.

    Args:
        model: trained.
        template: the structure of its inputs, with the name of a feature at each leaf (`input_template`).
        shard: the rows that it was fed with; an example is one of them, where this worker has any.

    Returns:
        `inputs`: of each `name` (the model's own, else the feature's), `feature`, `shape` of a row, `dtype`, and `example`, nested
        lists of a row's numbers or strings, None where there is no row or a row is very large; `outputs`: of each `name`, `shape` of a
        row with None where it isn't fixed, and `dtype`.
    """
    features = keras.tree.flatten(template)
    known = input_names(model)
    names = known[-1] if known and len(known[-1]) == len(features) else features
    kinds = {name: kind for name, kind in shard.inputs.items() if not name.startswith(MORE_LABEL)}
    example = _example(shard, list(kinds))
    return {
        "inputs": [
            {
                "name": name,
                "feature": feature,
                "shape": list(kinds[feature][0]),
                "dtype": dtype_name(kinds[feature][1]),
                "example": example.get(feature),
            }
            for name, feature in zip(names, features)
        ],
        "outputs": _outputs(model, template, kinds),
    }


def _example(shard: Shard, features: list[str]) -> dict[str, Any]:
    batches = shard.epoch(0)
    batch = next((each for each in batches if len(each.label)), None)
    if batch is None or sum(np.size(batch.inputs[name][0]) for name in features) > _LARGEST_EXAMPLE:
        return {}
    return {name: _plain(np.asarray(batch.inputs[name][0]).tolist()) for name in features}


def _plain(value: Any) -> Any:
    """Return lists of strings where NumPy has bytes."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _outputs(model: keras.Model, template: Any, kinds: dict[str, Any]) -> list[dict[str, Any]]:
    known = getattr(model, "outputs", None)
    if known:
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(known)]
        dtypes = [tensor.dtype for tensor in keras.tree.flatten(known)]
        names = output_names(model) or [f"output_{number}" for number in range(len(shapes))]
    else:  # a subclass of keras.Model
        row = {name: tf.zeros((1, *shape), dtype_name(dtype)) for name, (shape, dtype) in kinds.items()}
        made = model(keras.tree.map_structure(lambda name: row[name], template), training=False)
        names = keras.tree.flatten({name: name for name in made}) if isinstance(made, dict) else []
        tensors = keras.tree.flatten(made)
        names = names or [f"output_{number}" for number in range(len(tensors))]
        shapes, dtypes = [tensor.shape[1:] for tensor in tensors], [tensor.dtype for tensor in tensors]
    return [
        {"name": name, "shape": list(shape), "dtype": keras.backend.standardize_dtype(dtype)}
        for name, shape, dtype in zip(names, shapes, dtypes)
    ]
