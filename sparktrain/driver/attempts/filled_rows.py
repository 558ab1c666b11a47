"""Remembers which rows the executors of the application still have in segments, so that the next run over the same rows trains at once."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import DataFrame

_MOST = 8  # of different rows, as each holds its plan in the driver's memory
# The leaves of plans whose rows are the same each time: of a program's own values, and files, whose names, sizes and times of
# change are compared as well. Others (JDBC, streams, tables of other formats) may have changed unseen.
_LASTING = ("LocalRelation", "LogicalRDD", "Range", "OneRowRelation", "EmptyRelation")
_FILES = "HadoopFsRelation"


@dataclass(frozen=True)
class RowsKey:
    """What rows in segments are made from.

    Attributes:
        plan: the analyzed plan of the prepared frame, in the JVM.
        details: JSON of all else: the files read, how the rows are divided, the layout.
    """

    plan: Any
    details: str


class FilledRows:
    """The rows that executors of one application have, by their token. Its methods may be called from any thread."""

    def __init__(self, context: SparkContext) -> None:
        self.context = context
        self._rows: dict[str, RowsKey] = {}
        self._lock = threading.Lock()

    def take(self, key: RowsKey) -> str | None:
        """Return the token of the same rows, which no other run gets until they are added again; None if there are none."""
        with self._lock:
            for token, known in self._rows.items():
                if known.details == key.details and known.plan.sameResult(key.plan):
                    del self._rows[token]
                    return token
        return None

    def add(self, token: str, key: RowsKey) -> None:
        """Remember rows that the executors of a run have kept."""
        with self._lock:
            self._rows[token] = key
            for oldest in list(self._rows)[:-_MOST]:
                del self._rows[oldest]


_LOCK = threading.Lock()
_known: list[FilledRows] = []  # of the application that runs: a process has one at a time


def filled_rows(context: SparkContext) -> FilledRows:
    """Return the rows that the executors of the application that runs in this process have."""
    with _LOCK:
        if not _known or _known[0].context is not context:
            _known[:] = [FilledRows(context)]
        return _known[0]


def new_token() -> str:
    """Return a token for rows that are filled now."""
    return secrets.token_hex(6)


def rows_key(frame: DataFrame, inputs: Sequence[Mapping[str, Any]], **details: Any) -> RowsKey | None:
    """Return what identifies a frame's rows; None if they may be others each time that they are computed.

    Args:
        frame: the prepared frame.
        inputs: the files that it reads: path, length and time of change.
        details: all else that determines the segments, as values for JSON.
    """
    try:
        plan = frame._jdf.queryExecution().analyzed()
        if not plan.deterministic():
            return None
        leaves = plan.collectLeaves()
        kinds = {_kind(leaves.apply(index)) for index in range(leaves.size())}
    except Py4JError:  # the JVM is gone, which the run's next step reports
        return None
    if not kinds <= {*_LASTING, _FILES} or (_FILES in kinds and not inputs):
        return None
    return RowsKey(plan, json.dumps([inputs, details], sort_keys=True, default=str))


def _kind(leaf: Any) -> str:
    name = leaf.getClass().getSimpleName()
    return leaf.relation().getClass().getSimpleName() if name == "LogicalRelation" else name
