"""Converts arrays of numbers from Spark's memory format (`data.arrays.pack`) to Arrow's lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import pyarrow as pa

Length = TypeVar("Length", int, np.ndarray)

_WORD = 8  # bytes: an array is its length in a word, a null bit for each element in whole words, and its values


def unpacked(batch: pa.RecordBatch, sent: Mapping[str, str | None] | None) -> pa.RecordBatch:
    """Return a batch with its columns' real names, and with lists for packed arrays.

    Args:
        batch: the rows; packed columns are binary.
        sent: the columns' names in their order, each with the dtype of its elements if it is packed, else None. If `sent`
            is None, the batch is returned as it is.
    """
    if sent is None:
        return batch
    if not any(sent.values()):
        return batch.rename_columns(list(sent))
    columns = [
        column if dtype is None else _lists(column, np.dtype(dtype)) for column, dtype in zip(batch.columns, sent.values())
    ]
    return pa.RecordBatch.from_arrays(columns, list(sent))


def _lists(array: pa.Array, dtype: np.dtype) -> pa.ListArray:
    """Convert arrays in the format of `org.apache.spark.sql.catalyst.expressions.UnsafeArrayData` (see its documentation)."""
    _, offsets_buffer, data_buffer = array.buffers()
    kind = pa.list_(pa.field("element", pa.from_numpy_dtype(dtype)))
    if data_buffer is None or not len(array):
        return pa.array([None] * len(array), kind)
    offset_dtype = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    offsets = np.frombuffer(offsets_buffer, offset_dtype)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    same = _of_one_length(data, np.diff(offsets), dtype)
    if same is not None:
        return pa.ListArray.from_arrays(
            np.arange(len(same) + 1, dtype=np.int32) * np.int32(same.shape[1]), pa.array(same.reshape(-1)), type=kind
        )
    return _of_any_length(data, offsets[:-1] - offsets[0], array.is_valid().to_numpy(zero_copy_only=False), dtype, kind)


def _of_one_length(data: np.ndarray, sizes: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Return the values [rows, length] if all arrays have the same length and no nulls, in a tenth of the time; else None."""
    size = sizes[0]
    if not size or (sizes != size).any():
        return None
    rows = data.reshape(len(sizes), size)
    length = int(rows[0, :_WORD].view(np.int64)[0])
    head = _WORD * (1 + _words(length))
    expected = np.zeros(head, np.uint8)
    expected[:_WORD] = rows[0, :_WORD]
    if (rows[:, :head] != expected).any():
        return None
    return np.ascontiguousarray(rows[:, head : head + length * dtype.itemsize]).view(dtype)


def _of_any_length(data: np.ndarray, starts: np.ndarray, there: np.ndarray, dtype: np.dtype, kind: pa.DataType) -> pa.ListArray:
    """Return lists of arrays of any lengths.

    Args:
        starts: [rows], the offset of each array in the data, in bytes.
        there: [rows], whether each array isn't null.
    """
    words = data.view(np.int64)
    lengths = np.zeros(len(starts), np.int64)
    lengths[there] = words[starts[there] // _WORD]
    null_words = _words(lengths)
    firsts = (starts + _WORD * (1 + null_words)) // dtype.itemsize
    values = pa.LargeListViewArray.from_arrays(firsts, lengths, pa.array(data.view(dtype))).flatten()
    null_bits = words[np.repeat(starts // _WORD + 1, null_words) + _counted(null_words)]
    if null_bits.any():
        bits = np.repeat(64 * (np.cumsum(null_words) - null_words), lengths) + _counted(lengths)
        values = pa.array(values.to_numpy(), mask=(null_bits[bits >> 6] >> (bits & 63)) & 1 == 1)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, type=kind, mask=None if there.all() else pa.array(~there))


def _counted(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ..., length - 1 for each of the lengths, concatenated."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _words(length: Length) -> Length:
    """Return how many words have a bit for each of `length` elements, for one array or many."""
    return (length + 63) // 64
