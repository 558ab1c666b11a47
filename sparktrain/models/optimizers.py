"""Finds the optimizers of a model, wherever it holds them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

import keras

# Instances of these libraries' classes hold no optimizer, except for Keras's layers and containers.
_CLOSED = (
    "sparktrain",
    "tensorflow",
    "keras",
    "numpy",
    "pyarrow",
    "optree",
    "builtins",
    "threading",
    "logging",
    "collections",
    "re",
)


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Find every optimizer that a model holds: the compiled one first, then in the order of its attributes.

    Attributes, containers, layers and sub-models, objects of the user's classes, closures, and optimizers that wrap another
    one are searched.
    """
    return [each for each, _ in _found(model)]


def wrappers_of(model: keras.Model) -> dict[int, list[int]]:
    """Return the optimizers that wrap each optimizer: ids of the wrapping ones, by the id of the wrapped one."""
    found = _found(model)
    return {id(inner): [id(outer) for outer, held in found if id(inner) in held] for inner, _ in found}


def optimizer_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables of all optimizers of a model, each once."""
    every = [variable for optimizer in optimizers_of(model) for variable in optimizer.variables]
    return list({id(variable): variable for variable in every}.values())


def _found(model: keras.Model) -> list[tuple[keras.optimizers.Optimizer, set[int]]]:
    """Return each optimizer with the ids of the optimizers that it wraps."""
    found = []
    for optimizer in _optimizers_in([getattr(model, "optimizer", None), model]):  # an uncompiled model has none
        found.append((optimizer, {id(inner) for inner in _optimizers_in(list(_parts(optimizer)))}))
    return found


def _optimizers_in(roots: list[Any]) -> list[keras.optimizers.Optimizer]:
    found, waiting, seen = [], list(reversed(roots)), {}
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value  # a reference, so that no other object gets its id
        if isinstance(value, keras.optimizers.Optimizer):
            found.append(value)
        waiting += reversed(list(_parts(value)))
    return found


def _parts(value: Any) -> Iterator[Any]:
    """Yield the objects that an object holds, in an order that is the same on all workers."""
    if isinstance(value, Mapping):
        yield from list(value.values())
    elif isinstance(value, (list, tuple)):
        yield from value
    elif isinstance(value, (set, frozenset)):
        yield from sorted(value, key=lambda each: str(getattr(each, "name", "")))
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield value.__self__
    elif isinstance(value, FunctionType):
        if not _is_closed(value.__module__):
            yield from (cell.cell_contents for cell in value.__closure__ or () if _filled(cell))
    elif type(value).__module__.startswith("tensorflow.") and hasattr(value, "python_function"):  # a tf.function
        yield value.python_function
    elif not isinstance(value, type) and _is_open(value):
        yield from list(getattr(value, "__dict__", {}).values())
        for name in getattr(type(value), "__slots__", ()):
            if isinstance(name, str) and hasattr(value, name):
                yield getattr(value, name)


def _is_open(value: Any) -> bool:
    if isinstance(value, (keras.Layer, keras.optimizers.Optimizer)):
        return True
    return not _is_closed(type(value).__module__)


def _is_closed(module: str | None) -> bool:
    return (module or "").split(".")[0] in _CLOSED


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # the name is assigned later
        return False
    return True
