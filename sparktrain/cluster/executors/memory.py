"""Computes container memory: a container holds an executor's JVM, its Python workers and the training process."""

from __future__ import annotations

import re
from collections.abc import Mapping

OVERHEAD = "spark.executor.memoryOverhead"
_HEAP, _FACTOR, _LEAST = "spark.executor.memory", "spark.executor.memoryOverheadFactor", "spark.executor.minMemoryOverhead"
_UNITS = {"": 1, "k": 1 / 1024, "m": 1, "g": 1024, "t": 1 << 20}  # in MiB, as is a plain number in Spark


def mebibytes(text: str) -> int:
    """Return the MiB of an amount in Spark's notation: `512m`, `8g`, `8gb`; a plain number is MiB.

    Raises:
        ValueError: the text is no amount of memory.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([kmgt]?)b?\s*", text.lower())
    if match is None:
        raise ValueError(f"{text!r} is no amount of memory: expected a number with k, m, g or t, such as 8g")
    return int(int(match[1]) * _UNITS[match[2]])


def overhead_needed(worker_memory: str, settings: Mapping[str, str]) -> int:
    """Return the MiB of spark.executor.memoryOverhead that give a worker its memory.

    The worker's memory is added to Spark's own default overhead, which the JVM needs.

    Args:
        worker_memory: memory for the training process and Spark's Python worker together, such as `8g`.
        settings: the application's settings.
    """
    return _own_overhead(settings) + mebibytes(worker_memory)


def overhead_given(settings: Mapping[str, str]) -> int:
    """Return the MiB that an executor's container has beside the JVM's heap."""
    return mebibytes(settings[OVERHEAD]) if OVERHEAD in settings else _own_overhead(settings)


def _own_overhead(settings: Mapping[str, str]) -> int:
    """Return the MiB that Spark adds to the heap by default (its documentation: 10 %, at least 384 MiB)."""
    heap = mebibytes(settings.get(_HEAP, "1g"))
    return max(int(heap * float(settings.get(_FACTOR, "0.1"))), mebibytes(settings.get(_LEAST, "384m")))
