"""A trained model's signature: its inputs and outputs by name, shape and dtype, with an example row."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from sparktrain.feed import Shard, dtype_name
from sparktrain.models.losses import meaning
from sparktrain.models.names import input_names, output_names
from sparktrain.training.model import row_of_zeros

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
        row with None where it isn't fixed, `dtype`, and `meaning` (`models.losses`).
    """
    features = keras.tree.flatten(template)
    known = input_names(model)
    names = known[-1] if known and len(known[-1]) == len(features) else features
    example = _example(shard, features)
    return {
        "inputs": [
            {
                "name": name,
                "feature": feature,
                "shape": list(shard.inputs[feature][0]),
                "dtype": dtype_name(shard.inputs[feature][1]),
                "example": example.get(feature),
            }
            for name, feature in zip(names, features)
        ],
        "outputs": _outputs(model, template, shard),
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


def _outputs(model: keras.Model, template: Any, shard: Shard) -> list[dict[str, Any]]:
    # A subclass of keras.Model knows them only by a call
    outputs = getattr(model, "outputs", None) or model(row_of_zeros(template, shard), training=False)
    tensors = keras.tree.flatten(outputs)
    names = output_names(model)
    if names is None and isinstance(outputs, dict):
        names = keras.tree.flatten({name: name for name in outputs})
    losses = (model.get_compile_config() or {}).get("loss")
    return [
        {
            "name": name,
            "shape": list(tensor.shape[1:]),
            "dtype": keras.backend.standardize_dtype(tensor.dtype),
            "meaning": meaning(losses, name, number),
        }
        for number, (name, tensor) in enumerate(zip(names or [f"output_{number}" for number in range(len(tensors))], tensors))
    ]
