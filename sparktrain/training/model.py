"""Builds the user's model, and checks it against the rows before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from sparktrain.feed import BadInput, Shard, dtype_name
from sparktrain.interfaces.training_spec import Source
from sparktrain.models.errors import TrainingError
from sparktrain.models.names import check_input_names, input_names, input_structure
from sparktrain.training.framework import framework
from sparktrain.training.sources import load


def build(source: Source, seed: int, hadoop: Mapping[str, str]) -> keras.Model:
    """Build or load the compiled model, with the same initial weights on every worker.

    Raises:
        TrainingError: the result is no compiled Keras model.
    """
    keras.utils.set_random_seed(seed)
    model = load(source, hadoop, "model.build")
    where = source.function or source.file or "the model function"
    if not isinstance(model, keras.Model):
        raise TrainingError(
            f"{where} gave a {type(model).__module__}.{type(model).__name__} and not a keras.Model: "
            "let it return a compiled Keras model"
        )
    if not model.compiled or model.optimizer is None:
        raise TrainingError(
            f"the model of {where} is not compiled: call model.compile(optimizer=..., loss=...) before returning it"
        )
    return model


def input_template(model: keras.Model, inputs: Mapping[str, tuple[tuple[int, ...], Any]], named: bool = False) -> Any:
    """Return which input of the rows goes to which input of the model.

    Inputs are matched by name if the names are the model's, else in their order. A model without declared inputs (a subclass
    of keras.Model) gets the array itself if there is one, else a dict by name.

    Args:
        model: built or not.
        inputs: (shape of a row, dtype) of each input, in the order of the job's features.
        named: whether the job names the inputs.

    Returns:
        The structure of the model's inputs with an input's name at each leaf; lists as tuples.

    Raises:
        BadInput: the number of inputs, their names, a shape or a dtype doesn't match the model's.
    """
    names = list(inputs)
    if named:
        check_input_names(model, names)
    expected = getattr(model, "inputs", None)
    if not expected:
        return names[0] if len(names) == 1 else {name: name for name in names}
    if len(expected) != len(names):
        raise BadInput(
            f"the model has {len(expected)} inputs ({_listed(expected)}), and the rows bring {len(names)} "
            f"({', '.join(names)}): data.features must name one for each"
        )
    order = next((own for own in input_names(model) if set(own) == set(names)), names)
    for name, tensor in zip(order, expected):
        shape, dtype = inputs[name]
        _check_dtype(name, dtype_name(dtype), tensor)
        if not _fits(tuple(shape), tuple(tensor.shape[1:])):
            raise BadInput(
                f"input {name!r} has rows of shape {_shape(shape)} ({dtype_name(dtype)}), and the model's input "
                f"{tensor.name!r} takes {_shape(tensor.shape[1:])}: change data.features (columns, shape, length) or "
                "the model's keras.Input"
            )
    if len(names) == 1 and not isinstance(input_structure(model), dict):
        return order[0]
    return keras.tree.lists_to_tuples(keras.tree.pack_sequence_as(input_structure(model), order))


def _check_dtype(name: str, came: str, tensor: Any) -> None:
    """Raise BadInput if an input has strings and the model expects numbers, or vice versa."""
    if came == "string" != tensor.dtype:
        raise BadInput(
            f"input {name!r} brings strings, and the model's input {tensor.name!r} takes {tensor.dtype}: declare it as "
            'keras.Input(..., dtype="string") and let the model turn strings into numbers (StringLookup, TextVectorization, '
            "Hashing), or do it in data.pipeline (StringIndexer, OneHotEncoder)"
        )
    if came != "string" == tensor.dtype:
        raise BadInput(
            f"input {name!r} brings {came}, and the model's input {tensor.name!r} takes strings: cast the column to string in "
            "data.preprocess, or change the model's keras.Input"
        )


def refuse_stateful(model: keras.Model) -> None:
    """Refuse layers that carry state from batch to batch.

    Raises:
        TrainingError: the model has one.
    """
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise TrainingError(
                f"layer {layer.name!r} is stateful: it would continue from the rows at the same positions of the previous batch, "
                "but rows come in a new order in each epoch, distributed over the workers, in batches of different sizes. Build "
                "the layer with stateful=False, and give each row its whole sequence"
            )


def _fits(came: tuple, expected: tuple) -> bool:
    if len(came) == len(expected):
        return all(size is None or size == own for own, size in zip(came, expected))
    # Keras adds or drops a last axis of one.
    if len(came) + 1 == len(expected):
        return expected[-1] in (1, None) and _fits(came, expected[:-1])
    return len(came) == len(expected) + 1 and came[-1] == 1 and _fits(came[:-1], expected)


def _shape(shape: Any) -> str:
    return "x".join("any" if size is None else str(size) for size in shape) or "a single number"


def _listed(tensors: Any) -> str:
    return ", ".join(f"{tensor.name} of {_shape(tensor.shape[1:])}" for tensor in tensors)


def row_of_zeros(template: Any, shard: Shard) -> Any:
    """Return one row of zeros, or empty strings, for a model to be called with.

    Args:
        template: the structure of the model's inputs, with an input's name at each leaf.
    """
    zeros = framework().zeros
    inputs = {name: zeros((1, *shape), dtype_name(dtype)) for name, (shape, dtype) in shard.inputs.items()}
    return keras.tree.map_structure(lambda name: inputs[name], template)


def build_variables(model: keras.Model, template: Any, shard: Shard) -> None:
    """Create all variables of the model and its optimizer before the first step."""
    if not model.built:
        model(row_of_zeros(template, shard))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
