"""Describes TensorFlowOnSpark's running nodes by plain values, and finds them again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.managers import RemoteError
from pathlib import Path
from typing import Any

import psutil

from sparktrain.engines.tensorflowonspark.package import plain_import
from sparktrain.interfaces.launch import LaunchFailed
from sparktrain.known_messages.python import NO_PID

with plain_import():
    from tensorflowonspark import TFManager


@dataclass(frozen=True)
class Nodes:
    """The nodes that one TFCluster has started, as plain values that are pickled to the tasks.

    Attributes:
        cluster: a name that distinguishes them from those of other runs.
        info: TensorFlowOnSpark's own description of each node.
        together: whether the executors share their local dirs.
        by_rank: whether rank r uses node r, as all are on one machine; else each uses the node of its executor.
    """

    cluster: str
    info: tuple[Mapping[str, Any], ...]
    together: bool
    by_rank: bool

    def numbered(self, number: int) -> Mapping[str, Any]:
        """Return the description of the node with a number."""
        return next(node for node in self.info if node["executor_id"] == number)

    def of_executor(self) -> Mapping[str, Any]:
        """Return the description of this executor's node.

        Raises:
            LaunchFailed: this executor has no node.
        """
        try:
            number = int((home(self.cluster) / "executor_id").read_text())  # TensorFlowOnSpark's file
        except FileNotFoundError:
            raise LaunchFailed(
                f"this executor has no TensorFlowOnSpark node: it joined the application after the nodes were started, "
                f"on {len(self.info)} executors. Run again, now that it is there"
            ) from None
        return self.numbered(number)


def home(cluster: str, number: int | None = None) -> Path:
    """Return the folder of an executor's node, in Spark's local dirs; with its number if executors share these."""
    name = f"tensorflowonspark-{cluster}" + ("" if number is None else f"-{number}")
    return Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) / name


def pid_of(manager: TFManager.TFManager) -> int | None:
    """Return the process id of a manager's node; None before the node has set it."""
    try:
        return int(str(manager.get("pid")))
    except RemoteError as error:  # an error in the manager arrives as text
        if not NO_PID.find(str(error)):
            raise
        return None


def runs(pid: int) -> bool:
    """Return whether a process is running; a zombie isn't."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
