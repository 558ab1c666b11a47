"""Spark's types as Arrow has them."""

from __future__ import annotations

import inspect

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_type
from pyspark.sql.types import DataType, StructType

# Newer releases of Spark ask for the time zone of timestamps; before, it was always UTC
_ZONED = "timezone" in inspect.signature(to_arrow_type).parameters


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type in which Spark hands a column to Python.

    Raises:
        PySparkException: it can't.
    """
    return to_arrow_type(kind, timezone="UTC") if _ZONED else to_arrow_type(kind)


def arrow_schema(schema: StructType) -> pa.Schema:
    """The Arrow schema of rows."""
    return pa.schema([(field.name, arrow_type(field.dataType)) for field in schema.fields])
