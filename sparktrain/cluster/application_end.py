"""The end of an application whose program doesn't end it."""

from __future__ import annotations

import os
import sys

_IMPORTED_BY = os.getpid()


def stop_left_application() -> None:
    """Stop a Spark that runs as a small cluster on this machine (local-cluster), where the program has left it running.

    Called as the interpreter ends, by an exception, too. The cluster's workers would outlive their driver, start executors again
    and again while the JVM shuts down, and print a hundred lines of that below the program's own.
    """
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark is not None else None
    if context is None or os.getpid() != _IMPORTED_BY or not context.master.startswith("local-cluster"):
        return
    try:
        context.stop()
    except Exception:  # its JVM is gone, and there is nothing left to end
        return
