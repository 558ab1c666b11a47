"""Reads a sample of the rows at a path, without Spark where pyarrow can read them, and finds their format."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sparktrain.init import formats
from sparktrain.init.choices import InitError
from sparktrain.storage import Folder, open_folder
from sparktrain.storage.urls import parse

ROWS = 10_000  # rows of a sample
_FILES = 4  # files that the rows are read from
_FETCHED = 256 << 20  # bytes that are fetched from a storage; larger files are read by Spark
_PATTERN = re.compile(r"[*?\[{]")


@dataclass(frozen=True)
class DataSample:
    """Some of the rows at a path, and what Spark needs to know to read all of them.

    Attributes:
        url: the absolute URL of the data, as Spark takes it.
        format: the format, as in `data.format`.
        rows: the sample.
        labels: the label's values in more rows than the sample; None if only those of the sample were read.
        options: the options of Spark's reader.
        schema: the schema as Spark's DDL; None if the files have their own.
        files: the number of files with rows; None if they were not counted.
    """

    url: str
    format: str
    rows: pa.Table
    labels: pa.ChunkedArray | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schema: str | None = None
    files: int | None = None


def read_sample(path: str, label: str, format: str | None = None, show: Callable[[str], object] = print) -> DataSample:
    """Read at most 10,000 rows from a few of the files at a path.

    Args:
        path: a file, folder or pattern, as a URL or as a path on this machine; patterns are read by Spark.
        label: the column to predict.
        format: the format of the files; by default recognised by their content and names.
        show: called with a message for the user before each step that takes long.

    Raises:
        InitError: there is nothing at the path, or it can't be read.
        StorageError: the storage fails or denies access.
    """
    url = absolute(path)
    if _PATTERN.search(path):
        return _read_by_spark(url, format or formats.by_name(path), show)
    folder = open_folder(url)
    if not folder.exists():
        where = "" if "://" in path else " on this machine (for a path on HDFS write hdfs:///…)"
        raise InitError(f"there is nothing at {path}{where}. Expected a file or a folder of files.")
    names = folder.files()
    if names == [""]:  # it is a file
        names, folder = [parse(url).name], open_folder(str(parse(url).parent))
    names = [name for name in names if not any(map(_is_hidden, name.split("/")))]
    if not names:
        raise InitError(f"{path} has no files with rows. Expected Parquet, ORC, CSV, JSON, Avro or TFRecord files.")
    partitions = {part.partition("=")[0] for name in names for part in name.split("/")[:-1] if "=" in part}
    local = parse(url).scheme == "file"
    chosen = _spread(names) if local else _fetchable(folder, names)
    if not chosen or label in partitions:
        return _read_by_spark(url, format or formats.by_name(names[0]), show)
    with tempfile.TemporaryDirectory(prefix="sparktrain-init-") as scratch:
        files = []
        for number, name in enumerate(chosen):
            if local:
                files.append(Path(parse(folder.url).path, name))
                continue
            show(f"fetching {folder.join(name).url}")
            files.append(Path(scratch, f"{number}-{Path(name).name}"))
            folder.download(name, files[-1])
        format = format or formats.of_file(files[0])
        if format not in formats.READERS:
            return _read_by_spark(url, format, show)
        try:
            found = formats.READERS[format](files, label, ROWS)
        except formats.NeedsSpark as needs:
            return _read_by_spark(url, format, show, needs.options)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InitError(
                f"{path} can't be read as {format}: {error}. If it has another format, give that with --format."
            ) from error
    if not found.rows.num_rows:
        raise InitError(f"{path} has no rows in the files that were read ({', '.join(chosen)}). Give a path that has rows.")
    return DataSample(url, format, found.rows, found.labels, found.options, found.schema, len(names))


def absolute(path: str) -> str:
    """Return the absolute URL of a path for Spark; a path without a scheme is on this machine."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path):
        return path if path.endswith(":///") else path.rstrip("/")
    return str(parse(Path(path).expanduser()))


def _is_hidden(name: str) -> bool:
    """Return whether Spark ignores a file or folder of this name."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _spread(names: list[str]) -> list[str]:
    """Choose a few of the files, spread evenly over all of them."""
    step = max(len(names) / _FILES, 1)
    return [names[int(number * step)] for number in range(min(_FILES, len(names)))]


def _fetchable(folder: Folder, names: list[str]) -> list[str]:
    """Choose a few of the files, spread evenly, that are small enough to be fetched."""
    chosen, room = [], _FETCHED
    for name in _spread(names):
        size = folder.size(name)
        if 0 < size <= room:
            chosen.append(name)
            room -= size
    return chosen


def _read_by_spark(url: str, format: str, show: Callable[[str], object], options: dict[str, Any] | None = None) -> DataSample:
    """Read a sample with Spark on this machine."""
    from sparktrain.init.spark_reader import read

    show("starting Spark (10 to 40 s), as these rows can't be read without it")
    options = options or ({"header": True} if format == "csv" else {})
    return DataSample(url, format, read(url, format, options, ROWS), options=options)
