"""Writes and reads segments: Arrow IPC files of one record batch each, which are mapped into memory for reading."""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from sparktrain.feed import strings
from sparktrain.feed.strings import StringRows


def write_segment(path: Path, fields: Mapping[str, np.ndarray], over: Path | None = None) -> int:
    """Write rows to a file that any Arrow reader can open.

    Args:
        path: the file to write.
        fields: arrays [n, ...] by name, C-contiguous. Rows of more than one value become a fixed-size list; shape and dtype
            are stored in the field's metadata (booleans as a byte each, so that they can be mapped; strings as
            large_binary).
        over: a file in the same folder that is no longer needed, to be overwritten: its pages in the system's cache are
            reused, while allocating pages for a new file takes longer than the writing.

    Returns:
        The file's size in bytes.

    Raises:
        OSError: the file can't be written; with a note on the space left.
    """
    columns, schema = [], []
    for name, rows in fields.items():
        stored = rows.view(np.uint8) if rows.dtype == np.bool_ else rows
        column = pa.array(stored.reshape(-1), pa.large_binary() if rows.dtype == strings.DTYPE else None)
        if rows.ndim > 1:
            column = pa.FixedSizeListArray.from_arrays(column, math.prod(rows.shape[1:]))
        columns.append(column)
        metadata = {"shape": json.dumps(rows.shape[1:]), "dtype": str(rows.dtype)}
        schema.append(pa.field(name, column.type, nullable=False, metadata=metadata))
    batch = pa.record_batch(columns, schema=pa.schema(schema))
    if over is not None:
        over.rename(path)
    with telling_of_disk(path), open(path, "wb" if over is None else "r+b") as file:
        reserve(file, batch.nbytes)
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        file.truncate()
    return path.stat().st_size


def reserve(file: BinaryIO, size: int) -> None:
    """Reserve disk space for `size` bytes from the file's position on, which makes writing them a third faster.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), file.tell(), size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # not supported by the file system
                raise


@contextmanager
def telling_of_disk(path: Path) -> Iterator[None]:
    """Add a note on the space left, and what it must be enough for, to an OSError in the block that writes a file."""
    try:
        yield
    except OSError as error:
        error.add_note(
            f"while writing rows to {path}, on a disk with {shutil.disk_usage(path.parent).free:,} bytes free. "
            "All rows of a worker must fit into Spark's local directories (spark.local.dir; YARN's local dirs)."
        )
        raise


class Segment:
    """A segment that is mapped into memory until it is closed.

    Attributes:
        fields: arrays [n, ...] by name, views of the mapped file. None may be referenced when the segment is closed.
        rows: the number of rows, n.
    """

    def __init__(self, path: Path):
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if hasattr(mmap, "MADV_WILLNEED"):
            self._map.madvise(mmap.MADV_WILLNEED)
        batch = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._map))).get_batch(0)
        self.rows: int = batch.num_rows
        self.fields: dict[str, np.ndarray | StringRows] = {}
        for field, column in zip(batch.schema, batch.columns):
            shape = json.loads(field.metadata[b"shape"])
            stored = column.flatten() if shape else column
            dtype = np.dtype(field.metadata[b"dtype"].decode())
            self.fields[field.name] = (
                StringRows(stored, self.rows, tuple(shape))
                if dtype == strings.DTYPE
                else _values(stored, dtype).reshape(self.rows, *shape)
            )

    def close(self) -> None:
        """Unmap the file, so that its pages no longer count as this process's memory.

        Raises:
            BufferError: a view of its fields is still referenced.
        """
        self.fields.clear()
        self._map.close()


def _values(stored: pa.Array, dtype: np.dtype) -> np.ndarray:
    """Return a view of an array's numbers. (Arrow's `to_numpy` imports pandas, which takes a training process half a second.)"""
    return np.frombuffer(stored.buffers()[1], dtype, len(stored), stored.offset * dtype.itemsize)


def read_ahead(path: Path) -> None:
    """Ask the system to read a file into its cache, which doesn't count as this process's memory."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
