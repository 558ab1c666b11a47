"""Rows that lie in buckets on a storage: each worker reads its own from there, without a shuffle.

A row's place, a hash of its content, says which worker trains on it (`dealing`). A bucket is the file, or files, of all rows in one
range of places. A worker's rows are a range of places, too: it reads the buckets that overlap it, and of those at its two ends the rows
that are its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pyspark.sql import DataFrame

from sparktrain.data.dealing import PLACE, exchanged, part_of, place, range_of
from sparktrain.data.identity import VALIDATION, column
from sparktrain.storage import Folder, StorageError, open_folder

_log = logging.getLogger(__name__)
_FILE = re.compile(r"part-(\d+)-.*\.parquet")  # as Spark names the files of a partition
_LEAST, _MOST = 16, 2048  # buckets
_BUCKET_BYTES = 64 << 20  # of the input's files, for a bucket
_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 1 << 16


def bucket_count(input_bytes: int) -> int:
    """Return how many buckets to write rows to that are read from so many bytes of files."""
    return min(max(_LEAST, input_bytes // _BUCKET_BYTES), _MOST)


def in_buckets(frame: DataFrame, count: int, seed: int) -> DataFrame:
    """Return the rows, with their places, in `count` partitions, each of a range of places.

    Args:
        frame: rows with their hash in the column ROW.
        seed: the seed of the places.
    """
    placed = frame.withColumn(PLACE, place(seed).cast("int"))
    return exchanged(placed, count, part_of(column(PLACE), count))


@dataclass(frozen=True)
class Buckets:
    """Rows in buckets on a storage.

    Attributes:
        url: the URL of their folder.
        files: the name of each file, and the number of its bucket.
        count: the number of buckets.
        seed: the seed of the rows' places.
    """

    url: str
    files: tuple[tuple[str, int], ...]
    count: int
    seed: int

    @classmethod
    def of_files(cls, url: str, names: Sequence[str], count: int, seed: int) -> Buckets:
        """Return the buckets that Spark has written to a folder.

        Args:
            names: the names of the files in it.
        """
        found = [(name, match) for name in sorted(names) if (match := _FILE.fullmatch(name))]
        return cls(url, tuple((name, int(match[1])) for name, match in found), count, seed)

    def readable(self, hadoop: Mapping[str, str]) -> bool:
        """Return whether they can be read without Spark, which knows other storages than fsspec.

        Args:
            hadoop: Hadoop's settings that the storage needs.
        """
        try:
            return bool(self.files) and open_folder(self.url, dict(hadoop)).exists(self.files[0][0])
        except StorageError as error:
            _log.info("Spark reads the rows at %s: %s", self.url, error)
            return False


@dataclass(frozen=True)
class BucketReader:
    """Reads one worker's rows from buckets; calling it returns them. It is sent to the executors.

    Attributes:
        parts: the number of workers.
        whole: whether each worker gets all training rows, and of the validation rows its own.
        schema: the columns to read, in their order, with the types that Spark would send.
        hadoop: Hadoop's settings that the storage needs.
    """

    buckets: Buckets
    parts: int
    whole: bool
    schema: pyarrow.Schema
    hadoop: Mapping[str, str]

    def __call__(self, part: int, scratch: Path) -> Iterator[pyarrow.RecordBatch]:
        """Yield a worker's rows.

        Args:
            part: the worker's part.
            scratch: a folder on a local disk, for files on their way from the storage: two at a time.

        Raises:
            StorageError: the storage can't be read.
            pyarrow.ArrowException: a file isn't what was written.
        """
        folder = open_folder(self.buckets.url, dict(self.hadoop))
        files = list(self._files(part))
        with ThreadPoolExecutor(1, "bucket-download") as pool:
            waiting = [pool.submit(_local, folder, name, scratch) for name, *_ in files[:1]]
            for number, (_, inside, some) in enumerate(files):
                path, temporary = waiting.pop().result()
                waiting = [pool.submit(_local, folder, name, scratch) for name, *_ in files[number + 1 : number + 2]]
                yield from self._rows(path, part, inside, some)
                if temporary:
                    path.unlink()

    def _files(self, part: int) -> Iterator[tuple[str, bool, bool]]:
        """Yield each file with rows for a part: its name, whether it has rows within the part's range, and rows without."""
        first, stop = range_of(part, self.parts)
        for name, bucket in self.buckets.files:
            low, high = range_of(bucket, self.buckets.count)
            inside = low < stop and first < high
            if inside or self.whole:
                yield name, inside, not (first <= low and high <= stop)

    def _rows(self, path: Path, part: int, inside: bool, some: bool) -> Iterator[pyarrow.RecordBatch]:
        names = self.schema.names
        first, stop = range_of(part, self.parts)
        with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
            size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
            rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * max(1, file.metadata.num_rows) // max(1, size)))
            columns = [*names, PLACE] if some and inside else names
            for batch in file.iter_batches(rows, columns=columns, use_threads=False):
                if some:
                    batch = batch.filter(self._mine(batch, first, stop, inside))
                if batch.num_rows:
                    yield pyarrow.RecordBatch.from_arrays(
                        [_as(batch.column(each.name), each.type) for each in self.schema], names
                    )

    def _mine(self, batch: pyarrow.RecordBatch, first: int, stop: int, inside: bool) -> Any:
        """Return which rows are the part's: those in its range and, with `whole`, all training rows."""
        compute = pyarrow.compute
        training = compute.invert(batch.column(VALIDATION)) if self.whole else None
        if not inside:
            return training
        places = batch.column(PLACE)
        own = compute.and_(compute.greater_equal(places, first), compute.less(places, stop))
        return own if training is None else compute.or_(own, training)


def _local(folder: Folder, name: str, scratch: Path) -> tuple[Path, bool]:
    """Return the path of a file on this machine, and whether it was downloaded for this."""
    found = folder.local_path(name)
    if found is not None:
        return found, False
    folder.download(name, scratch / name)
    return scratch / name, True


def _as(array: pyarrow.Array, kind: pyarrow.DataType) -> pyarrow.Array:
    return array if array.type == kind else array.cast(kind)
