"""Converts arrays with dtypes that NumPy's files don't support, such as bfloat16, for storage and back."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


def stored(value: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
    """Return a copy of an array for a file, with bfloat16 and other dtypes that NumPy doesn't have as unsigned integers.

    Args:
        value: any array.
        into: an earlier copy that is no longer needed, whose memory is reused if it has the same shape and dtype.
    """
    value = np.asarray(value)
    value = value.view(f"u{value.dtype.itemsize}") if _is_foreign(value.dtype) else value
    if into is None or (into.shape, into.dtype) != (value.shape, value.dtype):
        return np.array(value)
    np.copyto(into, value)
    return into


def revived(value: np.ndarray, name: str) -> np.ndarray:
    """Return the array that `stored` has converted; `name` is its dtype's name."""
    return value if value.dtype.name == name else value.view(getattr(ml_dtypes, name))


def restore(variable: Any, value: np.ndarray) -> None:
    """Assign a value that `stored` has converted to a variable of Keras, or to a device's copy of one."""
    kind = variable.numpy().dtype
    variable.assign(value.view(kind) if _is_foreign(kind) else value)


def _is_foreign(dtype: np.dtype) -> bool:
    return dtype.type.__module__.startswith("ml_dtypes")
