"""Hadoop's settings and paths, as the driver's JVM has them."""

from __future__ import annotations

from pyspark.sql import SparkSession

from sparktrain.cluster.spark_context import jvm
from sparktrain.data import explained
from sparktrain.storage import HADOOP_KEYS


def hadoop_settings(spark: SparkSession) -> dict[str, str]:
    """What storage needs of Hadoop's configuration as the driver's JVM has it."""
    # A plain Configuration knows hdfs-site.xml only once something has used HDFS; this one reads it.
    context = spark.sparkContext
    conf = jvm(context).org.apache.hadoop.hdfs.HdfsConfiguration(context._jsc.hadoopConfiguration())
    return dict(conf.getValByRegex(HADOOP_KEYS))


def qualified(spark: SparkSession, path: str) -> str:
    """A path as Spark reads it: without a scheme it lies on the default file system.

    A scheme that Hadoop has no file system for is left to fsspec.

    Raises:
        NoFileSystem: it is on an HDFS that Spark has no configuration of.
    """
    if "://" in path and not path.startswith(("hdfs:", "file:")):
        return path
    hadoop_path = jvm(spark.sparkContext).org.apache.hadoop.fs.Path(path)
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    with explained():
        url = hadoop_path.getFileSystem(conf).makeQualified(hadoop_path).toString()
    return "file://" + url.removeprefix("file:") if url.startswith("file:/") and not url.startswith("file://") else url
