"""Reads Keras's logs as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def number(value: Any) -> float:
    """Return the value of a scalar tensor, a variable (also one that is mirrored over devices) or a number."""
    return float(value) if isinstance(value, (int, float)) else float(_array(value).reshape(()))


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return Keras's logs as plain numbers, in the order of their names.

    Nested logs are flattened; an array, such as an F1Score's result by Keras's default, becomes `f1_score_0`, `f1_score_1`
    and so on, one with several axes `name_0_0`.
    """
    plain: dict[str, float] = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, dict):
            plain.update(numbers(value))
        elif isinstance(value, (int, float)) or (array := _array(value)).size == 1:
            plain[name] = number(value)
        else:
            plain.update({"_".join(map(str, (name, *place))): float(each) for place, each in np.ndenumerate(array)})
    return plain


def shaped(logs: Mapping[str, Any], plain: Mapping[str, float]) -> dict[str, Any]:
    """Return numbers in the structure of Keras's logs.

    Args:
        logs: Keras's logs.
        plain: the numbers by the names that `numbers` uses.

    Returns:
        The logs' structure, with NumPy arrays in place of arrays.
    """
    structured: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, dict):
            structured[name] = shaped(value, plain)
        elif name in plain:
            structured[name] = plain[name]
        else:
            shape = _array(value).shape
            every = [plain["_".join(map(str, (name, *place)))] for place in np.ndindex(shape)]
            structured[name] = np.array(every, np.float32).reshape(shape)
    return structured


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)  # one mirrored over devices is no array by itself


def finite(logs: Mapping[str, Any]) -> bool:
    """Return whether the training loss, if there is one, is finite."""
    return "loss" not in logs or bool(np.isfinite(logs["loss"]))
