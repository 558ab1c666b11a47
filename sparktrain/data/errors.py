"""The errors for rows, columns and files that can't be used, and their explanation from Spark's exceptions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException

from sparktrain.known_messages.hdfs import HOST_UNKNOWN, NO_HOST_IN_URI
from sparktrain.known_messages.java import CAUSED_BY
from sparktrain.known_messages.spark import FILE_UNREADABLE, RECORD_MALFORMED

_OURS = re.compile(r"sparktrain\.data\.errors\.InputError: (.+?)(?=\n\s*(?:\n|at |\S+\.\S+Exception)|\Z)", re.DOTALL)
ADVICE = "Repair or remove it, or set data.corrupt: skip to train without it."


class InputError(ValueError):
    """Raised for rows, columns or files that can't be trained on; says which, what was expected, and what to do."""


class MissingColumn(InputError):
    """Raised, before any row is read, where the rows lack a column that the job names, or its SQL can't be evaluated."""


class UnfitColumn(MissingColumn):
    """Raised, before any row is read, where a column that the job names has a type that can't be trained on."""


class MissingSource(InputError):
    """Raised, before any row is read, where Spark doesn't know the table, the query or the files' format of a job."""


def nearest(name: object, among: Iterable[object]) -> str:
    """Return ` Did you mean 'x'?` if there is a name similar to `name`, else an empty text."""
    known = {str(one).casefold(): str(one) for one in among}
    found = difflib.get_close_matches(str(name).casefold(), known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(known[one]) for one in found)}?" if found else ""


class NoFileSystem(InputError):
    """Raised where a path is on an HDFS that Spark has no configuration for."""


def listed(values: Iterable[object], most: int = 40) -> str:
    """Return values separated by commas, at most `most` of them."""
    shown = list(values)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(str(value) for value in shown[:most]) + more


def require_columns(needed: Sequence[str], there: Sequence[str], where: str) -> None:
    """Refuse a frame that lacks needed columns.

    Args:
        needed: the columns that are needed.
        there: the columns that the frame has.
        where: a name for the frame, for the message.

    Raises:
        MissingColumn: names the missing columns, the nearest names, and the columns there are.
    """
    missing = [name for name in needed if name not in there]
    if missing:
        hints = "".join(nearest(name, there) for name in missing)
        raise MissingColumn(f"{where} has no column {listed(map(repr, missing))}.{hints} Its columns are: {listed(there)}.")


def first_line(error: BaseException) -> str:
    """Return an exception's first line; for one from the JVM, that of its innermost cause."""
    text = str(error)
    if hasattr(error, "java_exception"):
        causes = list(CAUSED_BY.find_all(text))
        text = causes[-1][1] if causes else text.partition("\n: ")[2]
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


def condition_of(error: BaseException) -> str | None:
    """Return Spark's error condition of an exception raised on the driver, such as DATA_SOURCE_NOT_FOUND; None if it has none."""
    if isinstance(error, PySparkException):
        return error.getCondition()
    # Of Java's exceptions, pyspark wraps only some in its own.
    java, gateway = getattr(error, "java_exception", None), SparkContext._gateway
    if java is None or gateway is None or not is_instance_of(gateway, java, "org.apache.spark.SparkThrowable"):
        return None
    return java.getCondition()


def unreadable_file(error: BaseException) -> str | None:
    """Return the file that Spark could not read, as Spark names it; None if the exception is about something else."""
    found = FILE_UNREADABLE.find(str(error))
    return found[1] if found else None


def explain(error: BaseException) -> InputError | None:
    """Return an error for the user if an action over the rows failed because of its input; None for other failures.

    Args:
        error: the exception that Spark raised on the driver.
    """
    text = str(error)
    unknown = NO_HOST_IN_URI.find(text) or HOST_UNKNOWN.find(text)
    if unknown:
        return NoFileSystem(
            f"Spark doesn't know the HDFS that a path is on ({unknown[0]}). Set HADOOP_CONF_DIR to the folder of the "
            "cluster's core-site.xml and hdfs-site.xml, or write the NameNode into the path (hdfs://HOST:PORT/...). The Hadoop of "
            "the quickstart, on this machine, is started with: python -m sparktrain.sandbox start"
        )
    ours = _OURS.search(text)
    if ours:
        return InputError(ours[1].strip())
    file, record = unreadable_file(error), RECORD_MALFORMED.find(text)
    if file is None and record is None:
        return None
    causes = list(CAUSED_BY.find_all(text))
    reason = record[1] if record else causes[-1][1] if causes else first_line(error)
    return InputError(f"{file or 'a file of data.path'} can't be read: {reason.strip()}. {ADVICE}")


@contextmanager
def explained() -> Iterator[None]:
    """Raise failures of Spark that are caused by its input as InputError, within a context."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        known = explain(error)
        if known is None:
            raise
        raise known from error
