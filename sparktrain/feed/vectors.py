"""Converts Spark ML's vectors, dense and sparse, to dense arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sparktrain.feed.errors import Fault

# VectorUDT in Arrow: struct<type: int8 (0 sparse, 1 dense), size: int32, indices: list<int32>, values: list<double>>
_FIELDS = ["type", "size", "indices", "values"]


def is_vector(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is Spark's representation of VectorUDT."""
    return (
        pa.types.is_struct(kind)
        and [kind.field(index).name for index in range(kind.num_fields)] == _FIELDS
        and pa.types.is_integer(kind.field("type").type)
        and pa.types.is_list(kind.field("values").type)
    )


def dense_vectors(array: pa.StructArray) -> np.ndarray:
    """Convert vectors, dense and sparse ones in any mixture, to a dense array.

    Args:
        array: VectorUDT's structs, without nulls.

    Returns:
        float64 array [n, size]; a view of the Arrow buffer if all vectors are dense.

    Raises:
        Fault: the vectors have different sizes.
    """
    is_dense = array.field("type").to_numpy(zero_copy_only=False) == 1
    values = array.field("values")
    counts = np.diff(values.offsets.to_numpy())
    flat = values.flatten().to_numpy(zero_copy_only=False)
    if is_dense.all():
        sizes = counts
    else:
        sizes = np.where(is_dense, counts, array.field("size").fill_null(0).to_numpy(zero_copy_only=False))
    size = int(sizes[0]) if len(sizes) else 0
    other = np.flatnonzero(sizes != size)
    if len(other):
        raise Fault(
            int(other[0]),
            f"a vector of size {sizes[other[0]]}",
            len(other),
            f"where the first has size {size}",
            "All vectors of a column must have the same size: check the stage that assembles them.",
        )
    if is_dense.all():
        return flat.reshape(len(array), size)
    rows = np.zeros((len(array), size))
    is_value_dense = np.repeat(is_dense, counts)
    rows[is_dense] = flat[is_value_dense].reshape(-1, size)
    indices = array.field("indices").flatten().to_numpy(zero_copy_only=False)
    rows[np.repeat(np.flatnonzero(~is_dense), counts[~is_dense]), indices] = flat[~is_value_dense]
    return rows
