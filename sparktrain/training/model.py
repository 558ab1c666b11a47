"""The user's model: built, and held against the rows that are to be fed to it before the first step."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import keras
import tensorflow as tf

from sparktrain.feed import BadInput, Shard, dtype_name
from sparktrain.interfaces.messages import Source
from sparktrain.training.dataset import LABEL
from sparktrain.training.errors import TrainingError
from sparktrain.training.sources import load

_SPARSE = "sparse_categorical_crossentropy"
_CATEGORICAL = "categorical_crossentropy"
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")


def build(source: Source, seed: int, hadoop: Mapping[str, str]) -> keras.Model:
    """The compiled model, with the same initial weights on every worker.

    Raises:
        TrainingError: what came is no compiled Keras model.
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


def input_template(model: keras.Model, inputs: Mapping[str, tuple[tuple[int, ...], Any]]) -> Any:
    """Where each input of the rows goes in the model.

    Inputs go by name where the names are the model's own, else in their order. A model that doesn't name its inputs
    (a subclass of keras.Model) gets the array itself if there is one, else a dict by name.

    Args:
        model: built or not.
        inputs: name to (shape of a row, dtype), in the order of the job's features.

    Returns:
        The structure of the model's inputs with an input's name at each leaf; lists as tuples.

    Raises:
        BadInput: another number of inputs than the model's, or a shape or a dtype that doesn't fit.
    """
    names = list(inputs)
    expected = getattr(model, "inputs", None)
    if not expected:
        return names[0] if len(names) == 1 else {name: name for name in names}
    if len(expected) != len(names):
        raise BadInput(
            f"the model has {len(expected)} inputs ({_listed(expected)}), and the rows bring {len(names)} "
            f"({', '.join(names)}): data.features must name one for each"
        )
    own = [tensor.name for tensor in expected]
    order = own if set(own) == set(names) else names
    for name, tensor in zip(order, expected):
        shape, dtype = inputs[name]
        _check_dtype(name, dtype_name(dtype), tensor)
        if not _fits(tuple(shape), tuple(tensor.shape[1:])):
            raise BadInput(
                f"input {name!r} has rows of shape {_shape(shape)} ({dtype_name(dtype)}), and the model's input "
                f"{tensor.name!r} takes {_shape(tensor.shape[1:])}: change data.features (columns, shape, length) or "
                "the model's keras.Input"
            )
    if len(names) == 1 and not isinstance(_structure(model), dict):
        return order[0]
    return keras.tree.lists_to_tuples(keras.tree.pack_sequence_as(_structure(model), order))


def _check_dtype(name: str, came: str, tensor: Any) -> None:
    """Refuse strings where the model takes numbers, and numbers where it takes strings."""
    if came == "string" != tensor.dtype:
        raise BadInput(
            f"input {name!r} brings strings, and the model's input {tensor.name!r} takes {tensor.dtype}: declare it as "
            "keras.Input(..., dtype=\"string\") and let the model turn strings into numbers (StringLookup, TextVectorization, "
            "Hashing), or do it in data.pipeline (StringIndexer, OneHotEncoder)"
        )
    if came != "string" == tensor.dtype:
        raise BadInput(
            f"input {name!r} brings {came}, and the model's input {tensor.name!r} takes strings: cast the column to string in "
            "data.preprocess, or change the model's keras.Input"
        )


def label_template(model: keras.Model, more: Sequence[str]) -> Any:
    """Where each label of the rows goes among the model's outputs, in their order.

    Args:
        more: names of the labels of the second and further outputs.

    Returns:
        The structure of the model's outputs with a label's name at each leaf, LABEL for the first.

    Raises:
        BadInput: another number of labels than of the model's outputs.
    """
    names = [LABEL, *more]
    outputs = getattr(model, "outputs", None)
    if outputs and len(outputs) != len(names) and (more or not _shares_label(model)):
        raise BadInput(
            f"the model has {len(outputs)} outputs ({_listed(outputs)}), and the rows bring {len(names)} label(s): "
            "data.label must list a column for each"
        )
    if not more:
        return LABEL
    structure = model.output if outputs and not isinstance(model, keras.Sequential) else tuple(names)
    return dict(zip(structure, names)) if isinstance(structure, dict) else tuple(names)


def _shares_label(model: keras.Model) -> bool:
    """Whether all outputs may be held against one label: only a training step of the user's own knows."""
    return type(model).train_step is not keras.Model.train_step or type(model).compute_loss is not keras.Model.compute_loss


def refuse_stateful(model: keras.Model) -> None:
    """Refuse layers that carry state from batch to batch.

    Raises:
        TrainingError: the model has one.
    """
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise TrainingError(
                f"layer {layer.name!r} is stateful: it would go on from the rows that stood at the same place of the "
                "batch before, but rows come in a new order each epoch, dealt out to the workers, in batches of "
                "different sizes. Build it with stateful=False, and give each row its whole sequence"
            )


def _structure(model: keras.Model) -> Any:
    # A Sequential model has `inputs`, but `input` only once it was called.
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


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


def build_variables(model: keras.Model, template: Any, shard: Shard) -> None:
    """Let the model and its optimizers have all their variables before the first step."""
    if not model.built:
        inputs = {name: tf.zeros((1, *shape), dtype_name(dtype)) for name, (shape, dtype) in shard.inputs.items()}
        model(keras.tree.map_structure(lambda name: inputs[name], template))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def check_label(
    model: keras.Model, label: tuple[tuple[int, ...], Any], label_range: tuple[float, float]
) -> None:
    """Hold the labels against the classes that the model's loss and output know.

    Args:
        model: compiled and built.
        label: (shape of a row, dtype).
        label_range: the smallest and the largest label of all workers' rows.

    Raises:
        BadInput: a label that the model has no output for.
    """
    losses = keras.tree.flatten(model.loss)
    outputs = getattr(model, "outputs", None)
    if len(losses) != 1 or not outputs or len(outputs) != 1:
        return
    loss = _loss_name(losses[0])
    axis = getattr(losses[0], "_fn_kwargs", {}).get("axis", -1)
    if axis not in (-1, len(outputs[0].shape) - 1):   # the classes lie elsewhere
        return
    units = outputs[0].shape[-1] if len(outputs[0].shape) > 1 else 1
    if loss == _CATEGORICAL and not label[0] and units is not None and units > 1:
        raise BadInput(
            f"the loss {_CATEGORICAL} takes labels of {units} numbers a row, and a single class number came: "
            f"compile the model with {_SPARSE}"
        )
    low, high = label_range
    ignored = getattr(losses[0], "ignore_class", None)   # masks what has no class, such as padding
    if loss == _SPARSE and units is not None and any(each != ignored and not 0 <= each < units for each in label_range):
        raise BadInput(
            f"the labels go from {low:g} to {high:g}, and the model's output knows the classes 0 to {units - 1}: give "
            "the last layer an output for each class, or number the classes from 0 (label.classes)" + _ignoring(ignored)
        )
    if loss in _BINARY and (low < 0 or high > 1):
        raise BadInput(
            f"the labels go from {low:g} to {high:g}, and the loss {loss} takes 0 to 1: number the two classes 0 and 1 "
            f"(label.classes), or compile the model with {_SPARSE}"
        )


def _ignoring(ignored: int | None) -> str:
    return "" if ignored is None else f"; the loss ignores the class {ignored} alone"


def _loss_name(loss: Any) -> str:
    """Keras's name of a loss of its own; "" for one of the user's, of which nothing is known, however it is called."""
    if isinstance(loss, str):
        return loss
    function = getattr(loss, "fn", loss)
    of = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    own = all(getattr(each, "__module__", "").startswith("keras.") for each in (of, function))
    return getattr(function, "__name__", "") if own else ""
