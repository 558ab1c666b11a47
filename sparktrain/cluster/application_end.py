"""Stops a Spark application that its program leaves running."""

from __future__ import annotations

import os
import sys

_IMPORTED_BY = os.getpid()
# Packages of the JVM that tell, with stack traces, that the cluster's own parts can't reach each other while they are stopped
_OF_THE_CLUSTER = (
    "org.apache.spark.deploy",
    "org.apache.spark.network",
    "org.apache.spark.rpc",
    "org.apache.spark.scheduler.cluster",
)


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
        jvm = context._jvm
        log4j = jvm.org.apache.logging.log4j
        for package in _OF_THE_CLUSTER:
            log4j.core.config.Configurator.setAllLevels(package, log4j.Level.OFF)
        # What a thread pool refuses that is closed already is printed without log4j
        jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.ByteArrayOutputStream()))
        context.stop()
    except Exception:  # the JVM is gone, and so is the cluster
        return
