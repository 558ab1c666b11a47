"""Writes an archive of the classes that Spark loads at its start: JVMs map it into memory instead of reading them from jars.

    .venv/bin/python environment/class_archive.py .venv/spark-classes.jsa

It is Java's own Class Data Sharing (JDK 17, -XX:ArchiveClassesAtExit): a JVM writes down the classes that it has loaded, and
another with the same jars takes them from there; where Java or jars are others, it goes on without. `sparktrain.launcher`
gives it to jobs on this machine. Under a path with a space JDK 17 takes none of Spark's classes: starts are as they were.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# Of a user's own, they would lead to another Spark, other jars or other options.
_LEFT_OUT = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
# What only an executor of a cluster, or a job on HDFS, would load.
_MORE = (
    "org.apache.spark.executor.CoarseGrainedExecutorBackend",
    "org.apache.spark.deploy.worker.ExecutorRunner",
    "org.apache.hadoop.hdfs.DistributedFileSystem",
    "org.apache.hadoop.hdfs.protocolPB.ClientNamenodeProtocolTranslatorPB",
)


def write(archive: Path) -> None:
    """Write the archive, whole or not at all; one for the same Java and jars is left as it is.

    Raises:
        subprocess.CalledProcessError: Spark or Java failed; they have said why.
    """
    home = Path(importlib.util.find_spec("pyspark").origin).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    environment |= {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    made_for, now = archive.with_suffix(".made-for"), _java_and_jars(home)
    if archive.exists() and made_for.exists() and made_for.read_text() == now:
        return
    submit = home / "bin" / "spark-submit"
    fresh = archive.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        options = shlex.join([f"-XX:ArchiveClassesAtExit={fresh}", "-XX:TieredStopAtLevel=1", "-Xlog:disable"])
        subprocess.run(
            [
                submit,
                "--master",
                "local-cluster[1,1,1024]",
                "--driver-java-options",
                options,
                "--conf",
                "spark.ui.enabled=false",
                Path(__file__).resolve(),
                "--load",
                folder,
            ],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    # One that is not whole would end every JVM.
    taken = {"SPARK_SUBMIT_OPTS": shlex.join([f"-XX:SharedArchiveFile={fresh}"])}
    subprocess.run([submit, "--version"], env=environment | taken, check=True)
    made_for.unlink(missing_ok=True)
    fresh.rename(archive)
    made_for.write_text(now)


def _java_and_jars(home: Path) -> str:
    """Return what an archive depends on: Java's version, and Spark's jars with their sizes and times, by which Java knows them."""
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    jars = [(jar.name, jar.stat().st_size, jar.stat().st_mtime_ns) for jar in sorted((home / "jars").iterdir())]
    return f"{version}{hashlib.sha256(repr(jars).encode()).hexdigest()}\n"


def load(folder: str) -> None:
    """Use what a job uses: first as a driver with an executor beside it, then as both in one JVM."""
    from pyspark.ml.feature import StandardScaler, VectorAssembler
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    for master in ("local-cluster[1,1,1024]", "local[1]"):
        spark = SparkSession.builder.master(master).appName("class archive").getOrCreate()
        frame = spark.range(100).select("id", F.xxhash64("id").alias("hash"), F.rand(7).alias("x"))
        frame.write.mode("overwrite").parquet(f"file://{folder}/rows")
        rows = spark.read.parquet(f"file://{folder}/rows").where("x >= 0")
        rows = VectorAssembler(inputCols=["x"], outputCol="vector").transform(rows)
        rows = StandardScaler(inputCol="vector", outputCol="scaled").fit(rows).transform(rows).select("id", "hash", "scaled")
        rows.groupBy((F.col("id") % 7).alias("rest")).count().collect()
        dealt = rows.repartition(1, F.lit(0))
        dealt.mapInArrow(lambda batches: batches, dealt.schema, barrier=True).collect()
        if master == "local[1]":
            loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
            for name in _MORE:
                spark._jvm.java.lang.Class.forName(name, True, loader)
        spark.stop()


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        load(sys.argv[2])
    else:
        write(Path(sys.argv[1]).resolve())
