"""Describes why a task failed, for the driver."""

from __future__ import annotations

import errno
import shutil
import socket
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow

from sparktrain import feed
from sparktrain.interfaces.launch import LaunchFailed
from sparktrain.interfaces.messages import Failure


class ExecutorGone(RuntimeError):
    """Raised where the JVM that sent this task its rows is gone; the cluster manager knows why."""


class RowsUnread(RuntimeError):
    """Raised where stored rows can't be read; the message has the storage's reason."""


def received(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """Yield the batches that the executor's JVM sends.

    Raises:
        ExecutorGone: the JVM ended before it had sent all of them.
    """
    try:
        yield from batches
    except (pyarrow.ArrowException, EOFError, OSError) as error:
        raise ExecutorGone(f"the executor's JVM broke off while it sent the rows ({type(error).__name__}: {error})") from error


def read_from_storage(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """Yield the batches of rows that a task reads from the storage by itself.

    Raises:
        RowsUnread: they can't be read.
    """
    try:
        yield from batches
    except Exception as error:  # of the storage, or of a file that isn't what was written
        raise RowsUnread(f"the stored rows can't be read ({type(error).__name__}: {error})") from error


def failure_of(error: BaseException, folders: Sequence[Path]) -> Failure:
    """Return the failure of a task for an exception that it raised.

    Args:
        folders: the folders of the task's segments.
    """
    if isinstance(error, feed.BadInput):
        return Failure("input", type(error).__name__, str(error))
    if isinstance(error, (LaunchFailed, ExecutorGone, RowsUnread)):
        return Failure("lost", type(error).__name__, str(error))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        free = ", ".join(f"{folder} ({shutil.disk_usage(folder).free / 1e9:.1f} GB free)" for folder in folders)
        message = (
            f"no space left for the segments on {socket.gethostname()}, in {free}: {error.strerror}. Part of each disk is left "
            "free (cluster.spare_disk). Give Spark larger local dirs (spark.local.dir, or YARN's local-dirs), more workers "
            "(but with split: epochs each has all rows), or sample fewer rows"
        )
        return Failure("input", "NoSpace", message)
    return Failure("code", type(error).__name__, str(error), traceback.format_exc())
