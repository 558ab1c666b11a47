"""A Spark on this machine alone, for commands that read a few rows."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import SparkSession


def local_session(name: str) -> SparkSession:
    """Return the process's Spark session, or a new one on two cores of this machine whose log is kept off the terminal.

    Args:
        name: a new application's name.
    """
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = Path(__file__).resolve().parents[2] / "conf"  # a checkout's, which keeps Spark's log off the terminal
    if (conf / "log4j2.properties").exists():
        os.environ.setdefault("SPARK_CONF_DIR", str(conf))
    return SparkSession.getActiveSession() or (
        SparkSession.builder.master("local[2]")
        .appName(name)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
