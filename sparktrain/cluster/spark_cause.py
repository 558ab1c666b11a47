"""Extracts why Spark failed from its nested exceptions."""

from __future__ import annotations

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException


def spark_cause(error: BaseException) -> str:
    """Return the message of the innermost cause of Spark's exception, at most 40 lines, without stack traces."""
    if not isinstance(error, (PySparkException, Py4JError)):
        return f"{type(error).__name__}: {error}"
    text = str(error)
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while java is not None and java.getCause() is not None:
        java = java.getCause()
    if java is not None:
        text = str(java.getMessage() or java.toString())
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return "\n".join(lines[:40])
