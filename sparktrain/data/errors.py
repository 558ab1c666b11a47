"""What is said of rows that can't be used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

# Spark ships what failed on an executor as text: the exceptions' classes and parameters do not travel.
_FILE = re.compile(r"\[FAILED_READ_FILE[^\]]*\] Encountered error while reading file (.+?)\.\s")
_RECORD = re.compile(r"(Malformed records are detected in .+?)\.(?=\s)")
# So Hadoop refuses, on the driver, to make a file system. A host that executors can't find is told within a longer text.
_NO_HDFS = re.compile(r"Incomplete HDFS URI, no host: [^\s,]+|\Ajava\.net\.UnknownHostException: [^\s,]+")
_CAUSE = re.compile(r"Caused by: (?:[\w$]+\.)*([\w$]+: .+)")
_OURS = re.compile(r"sparktrain\.data\.errors\.InputError: (.+?)(?=\n\s*(?:\n|at |\S+\.\S+Exception)|\Z)", re.DOTALL)
ADVICE = "Repair or remove it, or set data.corrupt: skip to train without it."


class InputError(ValueError):
    """Rows, columns or files that can't be trained on: which, what was expected, and what to do."""


class MissingColumn(InputError):
    """The rows haven't a column that the job names, or its SQL over them can't be evaluated: before any row is read."""


class UnfitColumn(MissingColumn):
    """A column that the job names has a type that can't be trained on: before any row is read."""


class MissingSource(InputError):
    """Spark doesn't know the table, the query or the files' format that a job names: before any row is read."""


def nearest(name: object, among: Iterable[object]) -> str:
    """` Did you mean 'x'?` where something like `name` is there, else nothing."""
    known = {str(one).casefold(): str(one) for one in among}
    found = difflib.get_close_matches(str(name).casefold(), known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(known[one]) for one in found)}?" if found else ""


class NoFileSystem(InputError):
    """A path lies on an HDFS that Spark has no configuration of."""


def listed(values: Iterable[object], most: int = 40) -> str:
    shown = list(values)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(str(value) for value in shown[:most]) + more


def require_columns(needed: Sequence[str], there: Sequence[str], where: str) -> None:
    """Refuse a frame without the columns that are needed.

    Raises:
        MissingColumn: names the missing columns, the nearest names, and what columns there are.
    """
    missing = [name for name in needed if name not in there]
    if missing:
        hints = "".join(nearest(name, there) for name in missing)
        raise MissingColumn(f"{where} has no column {listed(map(repr, missing))}.{hints} Its columns are: {listed(there)}.")


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; of the JVM's, what its innermost cause says."""
    text = str(error)
    if hasattr(error, "java_exception"):
        causes = _CAUSE.findall(text)
        text = causes[-1] if causes else text.partition("\n: ")[2]
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


def unreadable_file(error: BaseException) -> str | None:
    """The file that Spark could not read, as Spark names it, where that is what an exception says."""
    found = _FILE.search(str(error))
    return found[1] if found else None


def explain(error: BaseException) -> InputError | None:
    """What to tell the user where an action over the rows failed because of what was read; None for other failures.

    Args:
        error: what Spark raised on the driver.
    """
    text = str(error)
    unknown = _NO_HDFS.search(text)
    if unknown:
        return NoFileSystem(
            f"Spark doesn't know the HDFS that a path lies on ({unknown[0]}). Set HADOOP_CONF_DIR to the folder of the "
            "cluster's core-site.xml and hdfs-site.xml, or write the NameNode into the path (hdfs://HOST:PORT/...). The Hadoop of "
            "the quickstart, on this machine, is started by: python -m sparktrain.sandbox start"
        )
    ours = _OURS.search(text)
    if ours:
        return InputError(ours[1].strip())
    file, record = unreadable_file(error), _RECORD.search(text)
    if file is None and record is None:
        return None
    causes = _CAUSE.findall(text)
    reason = record[1] if record else causes[-1] if causes else first_line(error)
    return InputError(f"{file or 'a file of data.path'} can't be read: {reason.strip()}. {ADVICE}")


@contextmanager
def explained() -> Iterator[None]:
    """Failures of Spark that are about what was read, as InputError."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        known = explain(error)
        if known is None:
            raise
        raise known from error
