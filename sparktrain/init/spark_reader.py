"""Reads some rows with Spark on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from sparktrain.data import InputError
from sparktrain.data.local_session import local_session
from sparktrain.data.reading import read_files
from sparktrain.init.choices import InitError


def read(url: str, format: str, options: Mapping[str, Any], rows: int) -> pa.Table:
    """Read the first rows at a URL with Spark, and return them as an Arrow table.

    Args:
        format: a format that Spark has a reader for.
        options: the reader's options.
        rows: how many rows to read at most.

    Raises:
        InitError: Spark can't read them.
    """
    starts_spark = SparkSession.getActiveSession() is None
    spark = local_session("sparktrain init")
    try:
        return read_files(spark, [url], format, options=options).frame.limit(rows).toArrow()
    except InputError as error:
        raise InitError(str(error)) from error
    finally:
        if starts_spark:
            spark.stop()
