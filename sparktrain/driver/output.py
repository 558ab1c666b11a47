"""A run's folder: written apart under `_runs`, complete or not there."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import math
import os
import platform
import secrets
import socket
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

import psutil

from sparktrain.driver import ended
from sparktrain.interfaces.checkpoints import CHECKPOINTS
from sparktrain.interfaces.messages import WEIGHTS
from sparktrain.storage import HADOOP_KEYS, SUMMARY, Folder, NotFound, StorageError, claims, open_folder
from sparktrain.storage.retries import PERSISTENT

if TYPE_CHECKING:   # who looks at runs needs no Spark
    from pyspark.sql import SparkSession

STAGED = "_runs"           # where runs are made, under output.path
STATUS = "status.json"     # how far a run at work is; it and the next one are never in a complete one
LOG = "log.txt"
KEPT_LOG = "logs/run.log"  # what LOG is in a complete run
KEPT = "prepared"          # the prepared rows, while a run with data.keep: storage goes on
MODEL = "model.keras"
IDENTITY = "identity.json"   # of `takeover.identity`: what a run was begun as, until it is complete
_HELD: set[str] = set()    # the tokens of this process's claims


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

    Attributes:
        token: of this process's claim on the folder; empty before `claim`.
    """

    def __init__(self, url: str, run: str, hadoop: Mapping[str, str], option: str = "--run-id") -> None:
        self.run, self.token, self._option = run, "", option
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
            who: this process, in words for others: application, user.
            take_over: called where another process has the folder; returns the token of the claim that follows its claim, or
                None where that process is alive.

        Returns:
            Whose work lies in the folder already, and how that ended; None where the run begins.

        Raises:
            RunTaken: it is another's.
        """
        token = secrets.token_hex(16)
        mine = {**who, "host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "since": now(), "token": token}
        before = claims.owner(self.staged)
        _HELD.add(token)   # before others may read it: a claim of this process that it doesn't hold counts as a dead one's
        if (before is not None or claims.take(self.staged, mine) is None) and take_over(self, mine) is None:
            _HELD.discard(token)
            found = claims.owner(self.staged)
            raise RunTaken(
                f"{self._option} {self.run!r} is taken by a run that is alive or was killed: {found[1] if found else 'which has just ended'}. "
                f"Choose another, or, if it is dead, remove {self.staged.url}"
            )
        self.token = token
        record = ended.read(self.root, self.run)
        ended.forget(self.root, self.run)
        self.staged.remove(STATUS)   # of an earlier driver
        if before is not None:
            other = before[1]
            return f"{other.get('application')} on {other.get('host')}, begun {other.get('since')}, was killed at it"
        return f"it {record['status']} at {record['finished']}" if record is not None and self.has_work() else None

    def check(self) -> None:
        """Refuse to write where another process has taken the run over.

        Raises:
            ClaimLost: it has.
        """
        claims.check_claim(self.staged, self.token)

    def has_work(self) -> bool:
        """Whether there is what training has come to: a checkpoint, a trained model, or the weights of one that can't be saved."""
        return any(map(self.staged.exists, (MODEL, WEIGHTS))) or bool(self.staged.exists(CHECKPOINTS) and self.staged.join(CHECKPOINTS).list())

    def is_complete(self) -> bool:
        """Whether all is there, and nothing but the publishing is left to do."""
        return self.staged.exists(SUMMARY)

    def complete(self, summary: Mapping[str, Any], log: str) -> None:
        """Write what is left: with summary.json, the last file, the run is complete."""
        self.check()
        staged = self.staged.persistent()
        staged.write_text(KEPT_LOG, log)
        write_json(staged, SUMMARY, summary)

    def publish(self) -> None:
        """Make a complete run seen, whole, by one rename; it is done again by the same command where it is cut off.

        The claim goes last, when the run is where it is seen: until then no other process takes the folder for its own.
        """
        self.check()
        for name in (CHECKPOINTS, IDENTITY, STATUS, LOG):
            self.staged.persistent().remove(name, recursive=True)
        self._rename()
        _HELD.discard(self.token)
        with contextlib.suppress(StorageError):   # the run is there; a claim says nothing outside of _runs
            claims.release(self.final)

    def _rename(self) -> None:
        for delay in (*PERSISTENT, None):
            try:
                return self.root.publish(f"{STAGED}/{self.run}", self.run)
            except NotFound:
                if self.finished_summary() is None or self.staged.exists():
                    raise
                return   # an earlier try went through, and its answer was lost
            except StorageError as error:
                if delay is None or not error.transient:
                    raise
                time.sleep(delay)

    def end(self, record: Mapping[str, Any], log: str) -> None:
        """Keep how a run ended that left no model; of one that did, nothing is to be kept."""
        if self.finished_summary() is None:
            ended.write(self.root, self.run, record, log)

    def release(self) -> None:
        """Let others have the run id; what lies in the folder stays for who resumes the run."""
        claims.release(self.staged)
        _HELD.discard(self.token)

    def discard(self) -> None:
        """Leave nothing in the folder that the run was made in; what another process has taken over is left alone."""
        if self.staged.exists() and claims.holds(self.staged, self.token):
            self.staged.remove(recursive=True)
        _HELD.discard(self.token)

    def clear(self) -> None:
        """Remove what an earlier process has left in the folder, but for the claims."""
        for name in self.staged.list():
            if not claims.is_claim(name):
                self.staged.remove(name, recursive=True)

    def forget_old(self) -> None:
        """Remove what is still there of runs that ended without a model long ago."""
        ended.forget_old(self.root, STAGED)


def machine() -> str | None:
    """Names the process table that this process is in, by the kernel's boot and the PID namespace; None where it has no name.

    Two containers of one host may have one host name, and know nothing of each other's processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:   # no Linux
        return None


def process_is_gone(claim: Mapping[str, Any]) -> bool | None:
    """Whether the process of a claim has ended; None where this machine can't know."""
    if machine() is None or claim.get("machine") != machine():
        return None
    if claim["pid"] == os.getpid():
        return claim.get("token") not in _HELD
    try:
        begun = psutil.Process(claim["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    return begun > datetime.fromisoformat(claim["since"]).timestamp()   # the number is another process's by now


def as_json(content: Any) -> str:
    """Text of JSON, which knows no NaN and no infinity: they are null."""
    return json.dumps(_finite(content), indent=2, default=str, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(folder: Folder, name: str, content: Any) -> None:
    folder.write_text(name, as_json(content))


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
