"""Arrays of dtypes that NumPy's files don't know, as ones that they do."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def stored(value: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
    """A copy for a file: bfloat16, and what else NumPy has no letter for, as the bits that it has.

    Args:
        value: any array.
        into: an earlier copy that nobody needs any more; it is used where it has the shape and the dtype.
    """
    value = np.asarray(value)
    value = value.view(f"u{value.dtype.itemsize}") if _is_foreign(value.dtype) else value
    if into is None or (into.shape, into.dtype) != (value.shape, value.dtype):
        return np.array(value)
    np.copyto(into, value)
    return into


def revived(value: np.ndarray, name: str) -> np.ndarray:
    """The array of which `stored` made this one for a file; `name` is its dtype's."""
    return value if value.dtype.name == name else value.view(tf.as_dtype(name).as_numpy_dtype)


def restore(variable: tf.Variable, value: np.ndarray) -> None:
    """Give a variable, of TensorFlow or Keras, the value that `stored` made for a file."""
    kind = variable.numpy().dtype
    variable.assign(value.view(kind) if _is_foreign(kind) else value)


def _is_foreign(dtype: np.dtype) -> bool:
    return dtype.type.__module__.startswith("ml_dtypes")
