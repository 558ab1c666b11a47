"""Converts Spark's types to Arrow's."""

from __future__ import annotations

import inspect

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_type
from pyspark.sql.types import DataType, StructType

# Newer releases of Spark require the time zone of timestamps; before, it was always UTC
_ZONED = "timezone" in inspect.signature(to_arrow_type).parameters


def arrow_type(kind: DataType) -> pa.DataType:
    """Return the Arrow type in which Spark sends a column to Python.

    Raises:
        PySparkException: Spark can't send this type.
    """
    return to_arrow_type(kind, timezone="UTC") if _ZONED else to_arrow_type(kind)


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the Arrow schema of rows with a Spark schema."""
    return pa.schema([(field.name, arrow_type(field.dataType)) for field in schema.fields])
