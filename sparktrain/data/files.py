"""Lists and reads the files behind a frame as Spark does, with Hadoop's file systems in the driver's JVM."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from sparktrain.data.errors import InputError, first_line
from sparktrain.data.jvm import jvm
from sparktrain.known_messages.hdfs import FILE_STATUS

_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):/+(?=/)")  # file:///x and file:/x are the same place
_OTHER_SCANS = ("BatchScanExec", "HiveTableScanExec")


@dataclass(frozen=True)
class InputFile:
    """A file as it was when the run read it.

    Attributes:
        path: with its scheme, not percent-encoded.
        length: in bytes.
        modified: milliseconds since 1970.
    """

    path: str
    length: int
    modified: int


def list_files(spark: SparkSession, paths: Sequence[str], key: str = "data.path") -> list[InputFile]:
    """Return all files at and under paths, which may be patterns, sorted by name, without hidden ones.

    Args:
        key: the configuration's key that names the paths, for messages.

    Raises:
        InputError: nothing is at a path, or it can't be listed.
    """
    found: dict[str, InputFile] = {}
    for path in paths:
        try:
            statuses = list(_at(spark, path))
        except Py4JJavaError as error:
            reason = first_line(error)
            raise InputError(f"{key}: {path} can't be listed: {reason}") from error
        if not statuses:
            raise InputError(f"{key}: there is nothing at {path}.")
        found |= {file.path: file for file in statuses}
    return [found[path] for path in sorted(found)]


def files_under(spark: SparkSession, folder: str, key: str) -> dict[str, InputFile]:
    """Return all files under a folder, from `list_files`, by their names in it, such as `stages/0/data/part-0`."""
    found = list_files(spark, [folder], key)
    root = qualified(spark, folder) + "/"
    return {file.path.removeprefix(root): file for file in found}


def qualified(spark: SparkSession, path: str) -> str:
    """Return a path with its scheme and host, in Hadoop's spelling."""
    place, system = place_of(spark, path)
    return system.makeQualified(place).toString()


def read_file(spark: SparkSession, path: str) -> bytes | None:
    """Return a file's content, read by the driver's JVM; None if there is no such file."""
    place, system = place_of(spark, path)
    if not system.exists(place):
        return None
    return read_start(spark, path, system.getFileStatus(place).getLen(), gzipped=False)


def files_behind(frame: DataFrame) -> list[InputFile]:
    """Return the files that a frame's rows are read from, sorted by name.

    Files of partitions that the frame's conditions exclude are left out. Spark has listed the files already, so the storage
    isn't accessed again, except for tables with other readers (Hive's text tables, DataSource V2).
    """
    found: dict[str, InputFile] = {}
    known = True
    plans = [frame._jdf.queryExecution().sparkPlan()]
    while plans:
        leaves = plans.pop().collectLeaves()
        for leaf in (leaves.apply(number) for number in range(leaves.size())):
            kind = leaf.getClass().getSimpleName()
            if kind == "FileSourceScanExec":
                listing = _listing(leaf)
                # One text for all files: each call to the JVM takes a third of a millisecond
                files = (
                    InputFile(path, int(length), int(modified))
                    for path, length, modified in (match.groups() for match in FILE_STATUS.find_all(listing.mkString("\n")))
                )
                found |= {file.path: file for file in files}
            elif kind == "InMemoryTableScanExec":
                plans.append(leaf.relation().cachedPlan())
            elif kind == "AdaptiveSparkPlanExec":
                plans.append(leaf.inputPlan())
            known = known and kind not in _OTHER_SCANS
    if not known:
        places = {normal(path) for path in found}
        for url in frame.inputFiles():
            path = unquote(url)
            if normal(path) not in places:
                found[path] = _file(frame.sparkSession, path)
    return [found[path] for path in sorted(found)]


def _listing(scan: Any) -> Any:
    files, conditions = scan.relation().location(), scan.partitionFilters()
    try:
        return files.listFiles(conditions, scan.dataFilters())
    except Py4JJavaError:  # a condition whose values are known only when the other side of a join has run
        return files.listFiles(conditions.take(0), conditions.take(0))


def summarised(files: Sequence[InputFile], most: int = 10_000) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the files for the lineage, and notes for the user.

    Args:
        files: all files that were read.
        most: how many are listed; the others become one entry, with a digest of their paths, lengths and times.
    """
    listed, others = [asdict(file) for file in files[:most]], files[most:]
    if not others:
        return listed, []
    digest = hashlib.sha256("".join(f"{file}\n" for file in others).encode()).hexdigest()
    listed.append(
        {
            "path": f"{len(others)} more files",
            "length": sum(file.length for file in others),
            "modified": max(file.modified for file in others),
            "sha256": digest,
        }
    )
    return listed, [f"the lineage names {most} of {len(files)} input files"]


def normal(url: str) -> str:
    """Return a URL in one spelling: Spark writes both `file:/x` and `file:///x`."""
    return _SLASHES.sub(r"\1:", url)


def read_start(spark: SparkSession, path: str, size: int, gzipped: bool) -> bytes:
    """Return the first bytes of a file, read by the driver's JVM, which can read whatever Spark can."""
    place, system = place_of(spark, path)
    stream = system.open(place)
    try:
        source = jvm(spark).java.util.zip.GZIPInputStream(stream) if gzipped else stream
        return bytes(source.readNBytes(size))
    finally:
        stream.close()


def place_of(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return a path and its file system as Hadoop's Java objects."""
    place = jvm(spark).org.apache.hadoop.fs.Path(path)
    return place, place.getFileSystem(spark._jsc.hadoopConfiguration())


def _at(spark: SparkSession, path: str) -> Iterator[InputFile]:
    place, system = place_of(spark, path)
    for root in system.globStatus(place) or ():
        if not root.isDirectory():
            yield _described(root)
            continue
        prefix = len(root.getPath().toString())
        children = system.listFiles(root.getPath(), True)
        while children.hasNext():
            file = _described(children.next())
            if not any(_hidden(name) for name in file.path[prefix:].split("/")):
                yield file


def _file(spark: SparkSession, path: str) -> InputFile:
    try:
        place, system = place_of(spark, path)
        return _described(system.getFileStatus(place))
    except Py4JJavaError as error:
        raise InputError(f"{path}, which the rows are read from, can't be accessed: {first_line(error)}") from error


def _described(status: Any) -> InputFile:
    return InputFile(status.getPath().toString(), status.getLen(), status.getModificationTime())


def _hidden(name: str) -> bool:
    """Return whether Spark ignores a file or folder of this name; one such as `_c=1` is a partition's."""
    return name.startswith(".") or name.endswith("._COPYING_") or (name.startswith("_") and "=" not in name)
