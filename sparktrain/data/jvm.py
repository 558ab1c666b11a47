"""The driver's JVM."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def jvm(spark: SparkSession) -> Any:
    """Return py4j's view of the driver's JVM, which finds Java's classes by their names, unknown to any type checker."""
    return spark._jvm
