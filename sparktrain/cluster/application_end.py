"""Stops a Spark application that its program leaves running."""

from __future__ import annotations

import os
import sys

_IMPORTED_BY = os.getpid()


def stop_left_application() -> None:
    """Stop a local-cluster Spark that the program has left running.

    Called when the interpreter exits, also after an exception. Otherwise the cluster's workers would start executors again
    and again while the JVM shuts down, and print a hundred lines about it.
    """
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark is not None else None
    if context is None or os.getpid() != _IMPORTED_BY or not context.master.startswith("local-cluster"):
        return
    try:
        context.stop()
    except Exception:  # the JVM is gone, and so is the cluster
        return
