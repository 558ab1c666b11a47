"""Handles strings and bytes: NumPy arrays of Python's bytes in memory, Arrow's binary arrays on disk."""

from __future__ import annotations

import math
import os
from typing import BinaryIO

import numpy as np
import pyarrow as pa

DTYPE = np.dtype(object)  # of the arrays; their items are bytes, like TensorFlow's strings
VALUE_BYTES = 64  # about the overhead of Python and NumPy for each value


def is_string(kind: pa.DataType) -> bool:
    """Return whether values of an Arrow type are strings or bytes."""
    types = pa.types
    return any(fits(kind) for fits in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def dtype_name(dtype: np.dtype) -> str:
    """Return a dtype's name for a model: "string" for the strings of this module, else NumPy's."""
    return "string" if np.dtype(dtype) == DTYPE else str(np.dtype(dtype))


def content(rows: np.ndarray) -> int:
    """Return the bytes of all values together."""
    return sum(map(len, rows.reshape(-1)))


def written_size(rows: np.ndarray) -> int:
    """Return the size in bytes of rows of any dtype in a file."""
    return content(rows) + 8 * (rows.size + 1) if rows.dtype == DTYPE else rows.nbytes


def write_strings(file: BinaryIO, rows: np.ndarray) -> None:
    """Write rows [n, width] for `read_strings`: first the offset of each value, then their content."""
    values = rows.reshape(-1)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    file.write(offsets.data)
    for value in values:
        file.write(value)


def read_strings(file: BinaryIO, start: int, count: int, width: int, first: int, stop: int) -> np.ndarray:
    """Read rows [stop - first, width] of the `count` rows that `write_strings` wrote at the position `start`."""
    offsets = _offsets(file, start, first * width, stop * width + 1)
    data = os.pread(file.fileno(), int(offsets[-1] - offsets[0]), start + 8 * (count * width + 1) + int(offsets[0]))
    buffers = [None, pa.py_buffer(offsets - offsets[0]), pa.py_buffer(data)]
    values = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    return values.to_numpy(zero_copy_only=False).reshape(stop - first, width)


def content_of_some(file: BinaryIO, start: int, width: int, first: int, stop: int) -> int:
    """Return the bytes of the values in rows `first` to before `stop` that `write_strings` wrote at the position `start`."""
    low, high = (int(_offsets(file, start, at, at + 1)[0]) for at in (first * width, stop * width))
    return high - low


def _offsets(file: BinaryIO, start: int, first: int, stop: int) -> np.ndarray:
    return np.frombuffer(os.pread(file.fileno(), 8 * (stop - first), start + 8 * first), np.int64)


class StringRows:
    """Rows of strings in a mapped segment, with the part of a NumPy array's interface that gathering batches needs.

    Args:
        values: the values of all rows, one after another.
        rows: the number of rows.
        shape: the shape of a row.
    """

    dtype = DTYPE

    def __init__(self, values: pa.LargeBinaryArray, rows: int, shape: tuple[int, ...]):
        self._values, self.shape = values, (rows, *shape)
        self.nbytes = values.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: np.ndarray, axis: int = 0, out: np.ndarray | None = None, mode: str = "raise") -> np.ndarray:
        """Return rows, or copy them into `out`; see numpy.ndarray.take."""
        width = math.prod(self.shape[1:])
        items = rows if width == 1 else (rows[:, None] * width + np.arange(width)).reshape(-1)
        taken = self._values.take(pa.array(items)).to_numpy(zero_copy_only=False).reshape(len(rows), *self.shape[1:])
        if out is None:
            return taken
        out[...] = taken
        return out
