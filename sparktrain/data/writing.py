"""Writes rows with Spark, so that it can be interrupted."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from py4j.protocol import Py4JJavaError
from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame, SparkSession

from sparktrain.data.errors import InputError, first_line
from sparktrain.data.files import place_of


def check_writable(spark: SparkSession, url: str, what: str) -> None:
    """Check that Spark has a file system for a URL: it doesn't know all of fsspec's schemes.

    Args:
        what: a name for what is to be written, for the message.

    Raises:
        InputError: Spark has none.
    """
    try:
        place_of(spark, url)
    except Py4JJavaError as error:
        raise InputError(
            f"{what} can't be written to {url}: {first_line(error)}. Expected a storage that Spark writes to, such "
            "as hdfs:///models."
        ) from error


def write_rows(frame: DataFrame, url: str) -> DataFrame:
    """Write rows as Parquet, from the executors, to a folder, whose content is replaced.

    If this is interrupted, nothing is written any more once it has raised.

    Returns:
        The rows, read from the folder, with the same columns and types.

    Raises:
        InputError: Spark has no file system for the URL.
    """
    spark = frame.sparkSession
    check_writable(spark, url, "the prepared rows")
    tag = f"sparktrain-write-{secrets.token_hex(4)}"

    def write() -> None:
        spark.sparkContext.addJobTag(tag)
        frame.write.mode("overwrite").parquet(url)  # replaces what a killed writer has left

    # In a separate thread: one that is interrupted while it waits for the JVM couldn't wait for the job's end
    with ThreadPoolExecutor(1, "write-rows") as pool:
        writing = pool.submit(inheritable_thread_target(spark)(write))
        try:
            writing.result()
        except BaseException:
            if not writing.done():
                spark.sparkContext.cancelJobsWithTag(tag)
            raise
    return spark.read.schema(frame.schema).parquet(url)
