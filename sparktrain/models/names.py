"""Checks the names of a model's inputs and outputs against those in a job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from sparktrain.feed import BadInput

# Names that Keras gives to an input without a name
_UNNAMED = re.compile(r"(input_layer|keras_tensor)(_\d+)?")


def input_names(model: keras.Model) -> list[list[str]]:
    """Return the possible lists of names for `model.inputs`, in their order; none if the model doesn't have inputs yet.

    A model whose inputs are a dict has two lists: the dict's keys, and the names of its input tensors.
    """
    if not getattr(model, "inputs", None):
        return []
    structure = input_structure(model)
    keys = [keras.tree.flatten({name: name for name in structure})] if isinstance(structure, dict) else []
    return [*keys, [tensor.name for tensor in model.inputs]]


def check_input_names(model: keras.Model, names: Sequence[str]) -> None:
    """Check that the features that a job names are the model's inputs.

    The name doesn't matter for a single feature, nor for a model whose inputs the user hasn't named: order counts.

    Raises:
        BadInput: the names differ.
    """
    known = input_names(model)
    if not known or len(names) == 1 or len(known[0]) != len(names) or any(set(each) == set(names) for each in known):
        return
    if all(_UNNAMED.fullmatch(name) for name in known[0]):
        return
    raise BadInput(
        f"data.features names the inputs {', '.join(names)}, and the model's are {', '.join(known[0])}: name each of those with its "
        "columns, or list the columns in the inputs' order"
    )


def input_structure(model: keras.Model) -> Any:
    """Return a model's inputs in the structure that it is called with."""
    # A Sequential model has `inputs`, but `input` only once it was called.
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def output_names(model: keras.Model) -> list[str] | None:
    """Return the names of the outputs, in the order of `model.outputs`; None if the model has no known names."""
    if not getattr(model, "outputs", None):
        return None
    structure = None if isinstance(model, keras.Sequential) else model.output
    if isinstance(structure, dict):
        return keras.tree.flatten({name: name for name in structure})
    return list(getattr(model, "output_names", ())) or None


def check_output_names(model: keras.Model, named: Sequence[str] | None) -> None:
    """Check that the outputs that a job names are the model's; None is no names, and passes.

    Raises:
        BadInput: the names differ.
    """
    known = output_names(model)
    if named is not None and known is not None and set(named) != set(known):
        raise BadInput(
            f"data.label names the output{'s' if len(named) > 1 else ''} {', '.join(named)}, and the model's {_are(known)}: name each of "
            "those with its column, or list the columns in the outputs' order"
        )


def _are(names: Sequence[str]) -> str:
    return f"outputs are {', '.join(names)}" if len(names) > 1 else f"only output is {names[0]}"
