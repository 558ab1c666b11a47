"""Writes rows with Spark, so that it can be interrupted."""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor, wait

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext, inheritable_thread_target
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from sparktrain.data.errors import InputError, first_line
from sparktrain.data.files import place_of

_TASKS_END = 30.0  # seconds in which the executors end the tasks of a cancelled job


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
    save(frame.write.mode("overwrite").format("parquet"), spark, url)  # replaces what a killed writer has left
    return spark.read.schema(frame.schema).parquet(url)


def save(writer: DataFrameWriter, spark: SparkSession, url: str) -> None:
    """Write to a folder, from the executors. If this is interrupted, nothing is written any more once it has raised."""
    tag = f"sparktrain-write-{secrets.token_hex(4)}"

    def write() -> None:
        spark.sparkContext.addJobTag(tag)
        writer.save(url)

    # In a separate thread: one that is interrupted while it waits for the JVM couldn't wait for the job's end
    with ThreadPoolExecutor(1, "write-rows") as pool:
        writing = pool.submit(inheritable_thread_target(spark)(write))
        try:
            writing.result()
        except BaseException:
            if not writing.done():
                spark.sparkContext.cancelJobsWithTag(tag)
                wait([writing])
                with contextlib.suppress(Py4JError):  # the JVM is gone, and its executors end with it
                    _wait_for_tasks(spark.sparkContext, tag)
            raise


def _wait_for_tasks(context: SparkContext, tag: str) -> None:
    """Wait for the tasks of a tag's jobs: a cancelled job has ended before they have, and one that begins makes folders."""
    tracker = context._jsc.sc().statusTracker()  # pyspark's own knows no tags
    until = time.monotonic() + _TASKS_END
    while time.monotonic() < until:
        jobs = [context.statusTracker().getJobInfo(job) for job in tracker.getJobIdsForTag(tag)]
        stages = [context.statusTracker().getStageInfo(stage) for job in jobs if job is not None for stage in job.stageIds]
        if not any(stage is not None and stage.numActiveTasks for stage in stages):
            return
        time.sleep(0.1)
