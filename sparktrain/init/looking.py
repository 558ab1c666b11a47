"""Look at the data at a path: its format, its columns and some of its rows. Without Spark, where pyarrow can read it."""

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

ROWS = 10_000  # that are looked at
_FILES = 4  # that they come from
_FETCHED = 256 << 20  # bytes that are fetched from a storage; more goes by Spark
_PATTERN = re.compile(r"[*?\[{]")


@dataclass(frozen=True)
class Look:
    """What was seen of the data.

    Attributes:
        url: of the data, absolute, as Spark takes it.
        format: as `data.format` names it.
        rows: some of them.
        labels: the label's values in more rows than those; None where there are no more.
        options: of Spark's reader.
        schema: as Spark's DDL, where the files don't bring theirs.
        files: how many were found, where they were counted.
    """

    url: str
    format: str
    rows: pa.Table
    labels: pa.ChunkedArray | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schema: str | None = None
    files: int | None = None


def look(path: str, label: str, format: str | None = None, tell: Callable[[str], object] = print) -> Look:
    """Look at the data at a path.

    Args:
        path: a file or folder, a URL or a path of this machine; a pattern is for Spark to read.
        label: the column to be predicted.
        format: the files' format; by default found from the files.
        tell: shows the user what takes long.

    Raises:
        InitError: nothing is there, or it can't be read.
        StorageError: the storage doesn't answer, or refuses.
    """
    url = absolute(path)
    if _PATTERN.search(path):
        return _by_spark(url, format or formats.by_name(path), tell)
    folder = open_folder(url)
    if not folder.exists():
        where = "" if "://" in path else " on this machine (what is on HDFS has a name that begins with hdfs:///)"
        raise InitError(f"there is nothing at {path}{where}. Expected a file or a folder of files.")
    names = folder.files()
    if names == [""]:  # it is a file
        names, folder = [parse(url).name], open_folder(str(parse(url).parent))
    names = [name for name in names if not any(map(_hidden, name.split("/")))]
    if not names:
        raise InitError(f"{path} has no files with rows. Expected parquet, orc, csv, json, avro or tfrecord files.")
    partitions = {part.partition("=")[0] for name in names for part in name.split("/")[:-1] if "=" in part}
    local = parse(url).scheme == "file"
    taken = _evenly(names) if local else _fetchable(folder, names)
    if not taken or label in partitions:
        return _by_spark(url, format or formats.by_name(names[0]), tell)
    with tempfile.TemporaryDirectory(prefix="sparktrain-init-") as scratch:
        files = []
        for number, name in enumerate(taken):
            if local:
                files.append(Path(parse(folder.url).path, name))
                continue
            tell(f"fetching {folder.join(name).url}")
            files.append(Path(scratch, f"{number}-{Path(name).name}"))
            folder.download(name, files[-1])
        format = format or formats.of_file(files[0])
        if format not in formats.READERS:
            return _by_spark(url, format, tell)
        try:
            found = formats.READERS[format](files, label, ROWS)
        except formats.NeedsSpark as needs:
            return _by_spark(url, format, tell, needs.options)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InitError(
                f"{path} can't be read as {format}: {error}. Where it is something else, name that: --format."
            ) from error
    if not found.rows.num_rows:
        raise InitError(f"{path} has no rows in the files that were looked at ({', '.join(taken)})")
    return Look(url, format, found.rows, found.labels, found.options, found.schema, len(names))


def absolute(path: str) -> str:
    """Return the URL by which Spark finds a path; a path without a scheme is on this machine."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path):
        return path if path.endswith(":///") else path.rstrip("/")
    return str(parse(Path(path).expanduser()))


def _hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _evenly(names: list[str]) -> list[str]:
    """Return a few of the files, spread over all of them."""
    step = max(len(names) / _FILES, 1)
    return [names[int(number * step)] for number in range(min(_FILES, len(names)))]


def _fetchable(folder: Folder, names: list[str]) -> list[str]:
    """Return a few of the files that are small enough to be fetched."""
    taken, room = [], _FETCHED
    for name in _evenly(names):
        size = folder.size(name)
        if 0 < size <= room:
            taken.append(name)
            room -= size
    return taken


def _by_spark(url: str, format: str, tell: Callable[[str], object], options: dict[str, Any] | None = None) -> Look:
    """Read the rows with Spark on this machine."""
    from sparktrain.init.by_spark import read

    tell("starting Spark (10 to 40 s), to read what can't be read without it")
    options = options or ({"header": True} if format == "csv" else {})
    return Look(url, format, read(url, format, options, ROWS), options=options)
