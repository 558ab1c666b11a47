"""Reads Hadoop's settings and resolves paths, in the driver's JVM."""

from __future__ import annotations

from pyspark.sql import SparkSession

from sparktrain.cluster.spark_context import jvm
from sparktrain.data import explained
from sparktrain.storage import HADOOP_KEYS


def hadoop_settings(spark: SparkSession) -> dict[str, str]:
    """Return the settings of the driver's Hadoop configuration that storage needs."""
    # A plain Configuration reads hdfs-site.xml only once something has used HDFS; this one reads it at once.
    context = spark.sparkContext
    conf = jvm(context).org.apache.hadoop.hdfs.HdfsConfiguration(context._jsc.hadoopConfiguration())
    return dict(conf.getValByRegex(HADOOP_KEYS))


def qualified(spark: SparkSession, path: str) -> str:
    """Return the URL of a path as Spark reads it: without a scheme it is on the default file system.

    A URL with another scheme than hdfs: and file: is returned as it is, for fsspec.

    Raises:
        NoFileSystem: the path is on an HDFS that Spark has no configuration for.
    """
    if "://" in path and not path.startswith(("hdfs:", "file:")):
        return path
    hadoop_path = jvm(spark.sparkContext).org.apache.hadoop.fs.Path(path)
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    with explained():
        url = hadoop_path.getFileSystem(conf).makeQualified(hadoop_path).toString()
    return "file://" + url.removeprefix("file:") if url.startswith("file:/") and not url.startswith("file://") else url
