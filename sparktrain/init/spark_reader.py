"""Reads some rows with Spark on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from sparktrain.data import InputError
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
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = Path(__file__).resolve().parents[3] / "conf"  # a checkout's, which keeps Spark's log off the terminal
    if (conf / "log4j2.properties").exists():
        os.environ.setdefault("SPARK_CONF_DIR", str(conf))
    starts_spark = SparkSession.getActiveSession() is None
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("sparktrain init")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    try:
        return read_files(spark, [url], format, options=options).frame.limit(rows).toArrow()
    except InputError as error:
        raise InitError(str(error)) from error
    finally:
        if starts_spark:
            spark.stop()
