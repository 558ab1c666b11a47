"""What pyspark's types leave open of a SparkContext, though it is there once the context has started."""

from __future__ import annotations

from typing import Any, cast

from pyspark import SparkContext


def jvm(context: SparkContext) -> Any:
    """Return py4j's view of the driver's JVM, which finds Java's classes by their names, unknown to any type checker."""
    return context._jvm


def master(context: SparkContext) -> str:
    """Return the master of a context, such as `yarn` or `local[2]`."""
    return cast(str, context.master)
