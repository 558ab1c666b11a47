"""The files behind a frame: found as Spark finds them, by Hadoop's own file systems, on the driver."""

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

_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):/+(?=/)")  # file:///x and file:/x are one place
# As Hadoop writes a FileStatus down
_STATUS = re.compile(
    r"FileStatus\{path=(.+?); isDirectory=false; length=(\d+); replication=\d+; blocksize=\d+; "
    r"modification_time=(\d+);"
)
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
    """All files at and under paths, which may be patterns, in the order of their names, without hidden ones.

    Args:
        key: what named the paths.

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
    """All files under a folder, as `list_files` finds them, by their names in it, such as `stages/0/data/part-0`."""
    found = list_files(spark, [folder], key)
    root = qualified(spark, folder) + "/"
    return {file.path.removeprefix(root): file for file in found}


def qualified(spark: SparkSession, path: str) -> str:
    """A path with its scheme and host, as Hadoop spells it."""
    place, system = place_of(spark, path)
    return system.makeQualified(place).toString()


def read_file(spark: SparkSession, path: str) -> bytes | None:
    """A file's content, by the driver's JVM; None where there is no such file."""
    place, system = place_of(spark, path)
    if not system.exists(place):
        return None
    return read_start(spark, path, system.getFileStatus(place).getLen(), gzipped=False)


def files_behind(frame: DataFrame) -> list[InputFile]:
    """The files that a frame's rows are read from, in the order of their names.

    Those of partitions that the frame's conditions leave out are not among them. Spark has listed them already, so no
    storage is asked again, but for tables that Spark reads in ways of its own (Hive's text tables, DataSource V2).
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
                # One text for all: each call to the JVM takes a third of a millisecond
                files = (
                    InputFile(path, int(length), int(modified))
                    for path, length, modified in _STATUS.findall(listing.mkString("\n"))
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
    except Py4JJavaError:  # a condition that only the other side of a join settles, once it runs
        return files.listFiles(conditions.take(0), conditions.take(0))


def summarised(files: Sequence[InputFile], most: int = 10_000) -> tuple[list[dict[str, Any]], list[str]]:
    """Files as the lineage lists them, and what the user is to be told.

    Args:
        files: all that were read.
        most: how many are listed; the others become one entry, with a digest of what each of them is.
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
    """One spelling for each place: Spark writes `file:/x` and `file:///x`."""
    return _SLASHES.sub(r"\1:", url)


def read_start(spark: SparkSession, path: str, size: int, gzipped: bool) -> bytes:
    """The first bytes of a file, by the driver's JVM: what Spark may read can be read."""
    place, system = place_of(spark, path)
    stream = system.open(place)
    try:
        source = jvm(spark).java.util.zip.GZIPInputStream(stream) if gzipped else stream
        return bytes(source.readNBytes(size))
    finally:
        stream.close()


def place_of(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """A path and its file system, both Hadoop's."""
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
        raise InputError(f"{path}, which the rows are read from, can't be looked at: {first_line(error)}") from error


def _described(status: Any) -> InputFile:
    return InputFile(status.getPath().toString(), status.getLen(), status.getModificationTime())


def _hidden(name: str) -> bool:
    """Spark's own rule: a name such as `_c=1` is a partition's."""
    return name.startswith(".") or name.endswith("._COPYING_") or (name.startswith("_") and "=" not in name)
