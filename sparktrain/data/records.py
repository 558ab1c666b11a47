"""Reads files of records that Spark has no reader for, in Python on the executors, with a task for each file."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from sparktrain.data.arrow_types import arrow_schema
from sparktrain.data.errors import InputError
from sparktrain.data.files import InputFile
from sparktrain.storage import hadoop_settings, open_folder

_ROWS = 1024  # in a batch at most
_BATCH_BYTES = 16 << 20  # in a batch at most, unless a single record has more


@dataclass(frozen=True)
class Damage:
    """A record that can't be read.

    Attributes:
        number: the record's number in its file, from 1.
        reason: what is wrong with the record.
        rest: whether the rest of the file can't be read, either.
    """

    number: int
    reason: str
    rest: bool = False


class Readable(Protocol):
    """What decoding asks of an open file."""

    def read(self, size: int = -1, /) -> bytes: ...


Decode = Callable[[Readable, str, StructType], Iterator["dict[str, Any] | Damage"]]


class Tally(AccumulatorParam):
    """An accumulator of what was skipped: {file: (records, the number of the record from which the rest is lost, or 0)}.

    It is kept by file, so that a file that is read twice, by a retried task or an uncached frame, counts once.
    """

    def zero(self, value: dict) -> dict:
        return {}

    def addInPlace(self, value1: dict, value2: dict) -> dict:
        return value1 | value2


def read_records(
    spark: SparkSession, files: Sequence[InputFile], schema: StructType, decode: Decode, skip: bool
) -> tuple[DataFrame, Accumulator]:
    """Return the records of files as a lazy frame.

    Args:
        spark: the session.
        files: the files to read, each by one task.
        schema: the columns.
        decode: called with (stream, path, schema); yields each record's values by column, or its damage.
        skip: whether to skip and count damaged records instead of failing.

    Returns:
        The frame, and what was skipped so far (see Tally).
    """
    tally = spark.sparkContext.accumulator({}, Tally())
    paths, settings = [file.path for file in files], hadoop_settings()
    arrow = arrow_schema(schema)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column(0).to_pylist():
                path = paths[index]
                with opened(path, settings) as stream:
                    records = intact(decode(stream, path, schema), path, tally if skip else None)
                    yield from batched(records, arrow, path)

    indices = spark.range(0, len(paths), 1, max(1, min(len(paths), 10_000)))
    return indices.mapInArrow(read, schema), tally


def intact(records: Iterator[dict[str, Any] | Damage], path: str, tally: Accumulator | None) -> Iterator[dict]:
    """Yield the records that can be read; count the others, or raise InputError without a tally."""
    passed, rest = 0, 0
    for record in records:
        if not isinstance(record, Damage):
            yield record
            continue
        if tally is None:
            raise InputError(
                f"{path}, record {record.number}, can't be read: {record.reason}. Repair or remove the "
                "file, or set data.corrupt: skip to train without what is damaged."
            )
        passed += not record.rest
        rest = record.number if record.rest else 0
    if tally is not None and (passed or rest):
        tally.add({path: (passed, rest)})


def batched(records: Iterator[dict[str, Any]], schema: pa.Schema, path: str) -> Iterator[pa.RecordBatch]:
    """Yield record batches of at most 1,024 records and 16 MiB, or of a single larger record."""
    some: list[dict[str, Any]] = []
    size = 0
    for record in records:
        more = _size(record)
        if some and (len(some) == _ROWS or size + more > _BATCH_BYTES):
            yield to_batch(some, schema, path)
            some, size = [], 0
        some.append(record)
        size += more
    if some:
        yield to_batch(some, schema, path)


def _size(value: Any) -> int:
    """Return about how many bytes a value takes in Arrow."""
    if isinstance(value, (bytes, str)):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, list):
        return 8 * len(value) if not value or isinstance(value[0], (int, float)) else sum(map(_size, value))
    return 8


def to_batch(records: list[dict[str, Any]], schema: pa.Schema, path: str) -> pa.RecordBatch:
    """Return records as an Arrow batch; a value that is missing is null.

    Raises:
        InputError: a value doesn't fit its column's type, or a record has more than 2 GiB.
    """
    arrays = []
    for field in schema:
        try:
            array = pa.array([record.get(field.name) for record in records], field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            raise InputError(
                f"{path}: column {field.name!r} can't be read as {field.type}: {error}. "
                "Give the columns and types with data.schema."
            ) from error
        if isinstance(array, pa.ChunkedArray):
            raise InputError(
                f"{path}: column {field.name!r} has more than 2 GiB in one record, which Arrow and Spark can't "
                "hold. Divide such records."
            )
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def told(passed: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return notes for the user on a tally: one for all, and one for each file."""
    if not passed:
        return []
    lines = [
        f"{path}: {count} damaged records were skipped"
        if not rest
        else f"{path}: unreadable from record {rest} on, the rest of the file was skipped"
        + (f", and {count} damaged records before" if count else "")
        for path, (count, rest) in sorted(passed.items())
    ]
    cut = sum(1 for _, rest in passed.values() if rest)
    return [
        f"data.corrupt: skip passed over {sum(count for count, _ in passed.values())} damaged records in "
        f"{len(passed)} files, {cut} of which could not be read to their end",
        *lines[:100],
    ]


@contextmanager
def opened(path: str, settings: Mapping[str, str]) -> Iterator[Readable]:
    """Open a file for reading within a context; unpack it if its name ends in .gz, and first copy a remote file to local disk."""
    folder, _, name = path.rpartition("/")
    if folder.startswith("file:"):
        local = "/" + path.removeprefix("file:").lstrip("/")
        with gzip.open(local) if name.endswith(".gz") else open(local, "rb") as stream:
            yield stream
        return
    scratch = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    with tempfile.TemporaryDirectory(prefix="sparktrain-", dir=scratch) as directory:
        open_folder(folder or "/", settings).download(name, f"{directory}/{name}")
        with opened(f"file:{directory}/{name}", {}) as stream:
            yield stream
