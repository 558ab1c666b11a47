"""Read some rows with Spark on this machine."""

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
    """Return the first rows at a URL, as Spark reads them.

    Raises:
        InitError: Spark can't read them.
    """
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = Path(__file__).resolve().parents[3] / "conf"  # of a checkout, whose Spark keeps its own log to itself
    if (conf / "log4j2.properties").exists():
        os.environ.setdefault("SPARK_CONF_DIR", str(conf))
    mine = SparkSession.getActiveSession() is None
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
        if mine:
            spark.stop()
