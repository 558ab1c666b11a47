"""What is known of TensorFlowOnSpark's nodes once they are up: plain values, and how they are found again."""

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

with plain_import():
    from tensorflowonspark import TFManager


@dataclass(frozen=True)
class Nodes:
    """The nodes that one TFCluster has brought up: plain values, pickled to the tasks.

    Attributes:
        cluster: names them among those of other runs.
        info: TensorFlowOnSpark's own description of each.
        together: whether the executors share their local dirs.
        by_rank: whether rank r has node r, all of them being on one machine; else each has that of its executor.
    """

    cluster: str
    info: tuple[Mapping[str, Any], ...]
    together: bool
    by_rank: bool

    def numbered(self, number: int) -> Mapping[str, Any]:
        return next(node for node in self.info if node["executor_id"] == number)

    def of_executor(self) -> Mapping[str, Any]:
        try:
            number = int((home(self.cluster) / "executor_id").read_text())  # TensorFlowOnSpark's file
        except FileNotFoundError:
            raise LaunchFailed(
                f"this executor has no TensorFlowOnSpark node: it joined the application after the nodes were started, "
                f"on {len(self.info)} executors. Run again, now that it is there"
            ) from None
        return self.numbered(number)


def home(cluster: str, number: int | None = None) -> Path:
    """The folder in which an executor's node runs, in Spark's local dirs; with its number where executors share those."""
    name = f"tensorflowonspark-{cluster}" + ("" if number is None else f"-{number}")
    return Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) / name


def pid_of(manager: TFManager.TFManager) -> int | None:
    """The process of a manager's node; None before it has said so."""
    try:
        return int(str(manager.get("pid")))
    except RemoteError as error:  # as text is what an error of the manager comes as
        if "KeyError: 'pid'" not in str(error):
            raise
        return None


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; one that its parent hasn't asked after yet has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
