"""The names of a model's inputs and outputs, held against those that a job gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from sparktrain.feed import BadInput

# Keras's own, of an input that the user has given none
_UNNAMED = re.compile(r"(input_layer|keras_tensor)(_\d+)?")


def input_names(model: keras.Model) -> list[list[str]]:
    """The names that may stand for the inputs, each list as `model.inputs` has them; empty where the model doesn't know them.

    A model whose inputs are a dict has two: the dict's keys, and the names of what it was built with.
    """
    if not getattr(model, "inputs", None):
        return []
    structure = input_structure(model)
    keys = [keras.tree.flatten({name: name for name in structure})] if isinstance(structure, dict) else []
    return [*keys, [tensor.name for tensor in model.inputs]]


def check_input_names(model: keras.Model, names: Sequence[str]) -> None:
    """See that features that a job gives by names are the model's inputs.

    One feature needs no name, nor do those of a model whose inputs have none of their own: they go in their order.

    Raises:
        BadInput: they aren't.
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
    # A Sequential model has `inputs`, but `input` only once it was called.
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def output_names(model: keras.Model) -> list[str] | None:
    """The names of the outputs, as `model.outputs` has them; None where the model has none that are known."""
    if not getattr(model, "outputs", None):
        return None
    structure = None if isinstance(model, keras.Sequential) else model.output
    if isinstance(structure, dict):
        return keras.tree.flatten({name: name for name in structure})
    return list(getattr(model, "output_names", ())) or None


def check_output_names(model: keras.Model, named: Sequence[str] | None) -> None:
    """See that the outputs that a job names are the model's.

    Raises:
        BadInput: they aren't.
    """
    known = output_names(model)
    if named is not None and known is not None and set(named) != set(known):
        raise BadInput(
            f"data.label names the output{'s' if len(named) > 1 else ''} {', '.join(named)}, and the model's {_are(known)}: name each of "
            "those with its column, or list the columns in the outputs' order"
        )


def _are(names: Sequence[str]) -> str:
    return f"outputs are {', '.join(names)}" if len(names) > 1 else f"only output is {names[0]}"
