"""A run's folder: written apart under `_runs`, complete or not there."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import socket
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Mapping

from sparktrain.driver import ended
from sparktrain.storage import HADOOP_KEYS, SUMMARY, Folder, open_folder

if TYPE_CHECKING:   # who looks at runs needs no Spark
    from pyspark.sql import SparkSession

STAGED = "_runs"           # where runs are made, under output.path
RUNNING = "running.json"   # who works on a run; it and the next two are never in a complete one
STATUS = "status.json"     # how far it is
LOG = "log.txt"
KEPT_LOG = "logs/run.log"  # what LOG is in a complete run
KEPT = "prepared"          # the prepared rows, while a run with data.keep: storage goes on


class RunTaken(ValueError):
    """The run id belongs to another run."""


def now() -> str:
    """The time, ISO 8601, UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def hadoop_settings(spark: SparkSession) -> dict[str, str]:
    """What storage needs of Hadoop's configuration as the driver's JVM has it."""
    # A plain Configuration knows hdfs-site.xml only once something has used HDFS; this one reads it.
    conf = spark.sparkContext._jvm.org.apache.hadoop.hdfs.HdfsConfiguration(spark.sparkContext._jsc.hadoopConfiguration())
    return dict(conf.getValByRegex(HADOOP_KEYS))


def qualified(spark: SparkSession, path: str) -> str:
    """A path as Spark reads it: without a scheme it lies on the default file system.

    A scheme that Hadoop has no file system for is left to fsspec.

    Raises:
        NoFileSystem: it is on an HDFS that Spark has no configuration of.
    """
    from sparktrain.data import explained   # who looks at runs needs no Spark

    if "://" in path and not path.startswith(("hdfs:", "file:")):
        return path
    jvm = spark.sparkContext._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    with explained():
        url = hadoop_path.getFileSystem(conf).makeQualified(hadoop_path).toString()
    return "file://" + url.removeprefix("file:") if url.startswith("file:/") and not url.startswith("file://") else url


class RunFolder:
    """One run's folder while it is being made.

    Args:
        url: output.path, the folder of all runs of a job.
        run: the run's id.
        hadoop: what storage needs of Hadoop's configuration.
        option: what named it on the command line.
    """

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str], option: str = "--run-id") -> None:
        self.run, self._option = run, option
        self.root = open_folder(url, hadoop)
        self.staged = self.root.join(STAGED, run)
        self.final = self.root.join(run)

    def finished_summary(self) -> dict[str, Any] | None:
        """The summary of the run of this id, if it is complete."""
        return json.loads(self.final.read_text(SUMMARY)) if self.final.exists(SUMMARY) else None

    def claim(self, who: Mapping[str, Any],
              take_over: Callable[[RunFolder, Mapping[str, Any]], str | None] = lambda folder, who: None) -> str | None:
        """Make the run id this process's own, also where an earlier run of this id ended without a model.

        Args:
            take_over: tries to go on with what a dead process has left; tells whose it was.

        Returns:
            What `take_over` told; None where there was nothing to be taken over.

        Raises:
            RunTaken: it is another's.
        """
        mine = {**who, "host": socket.gethostname(), "pid": os.getpid(), "since": now()}
        dead = None
        if not self.staged.claim(RUNNING, json.dumps(mine).encode()) and (dead := take_over(self, mine)) is None:
            other = self.staged.read_text(RUNNING)
            raise RunTaken(
                f"{self._option} {self.run!r} is taken by a run that is alive or was killed: {other}. Choose another, "
                f"or, if it is dead, remove {self.staged.url}"
            )
        ended.forget(self.root, self.run)
        return dead

    def forget_old(self) -> None:
        """Remove what is still there of runs that ended without a model long ago."""
        ended.forget_old(self.root, STAGED)

    def publish(self, summary: Mapping[str, Any], log: str) -> None:
        """Make the run seen, whole: summary.json last, then one rename."""
        self.staged.write_text(KEPT_LOG, log)
        write_json(self.staged, SUMMARY, summary)
        for name in (STATUS, LOG, RUNNING):
            self.staged.remove(name)
        self.root.publish(f"{STAGED}/{self.run}", self.run)

    def end(self, record: Mapping[str, Any], log: str) -> None:
        """Keep how a run ended that left no model; of one that did, nothing is to be kept."""
        if self.finished_summary() is None:
            ended.write(self.root, self.run, record, log)

    def discard(self) -> None:
        """Leave nothing in the folder that the run was made in."""
        if self.staged.exists():
            self.staged.remove(recursive=True)


def write_json(folder: Folder, name: str, content: Any) -> None:
    folder.write_text(name, json.dumps(content, indent=2, default=str) + "\n")


def versions() -> dict[str, str]:
    """Of what the result depends on, as installed with the driver."""
    found = {"python": platform.python_version()}
    for name in ("sparktrain", "pyspark", "keras", "tensorflow", "tensorflow-cpu", "horovod", "tensorflowonspark",
                 "pyarrow", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue   # not every engine's packages are everywhere
    return found


def curves(history: Mapping[str, list[float]]) -> bytes:
    """A PNG picture of the history: each metric by epoch, its validation beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in history if not name.startswith("val_")]
    figure = Figure(figsize=(4.5 * max(1, len(names)), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1, title=name, xlabel="epoch")
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker="o", label=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
