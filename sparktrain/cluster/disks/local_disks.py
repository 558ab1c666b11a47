"""Manages a worker's folders for segments on Spark's local disks, and the space that is left free on each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from pyspark import SparkContext

from sparktrain.cluster.executors.memory import mebibytes
from sparktrain.cluster.spark_context import jvm, master

_LEAST = 256  # MiB: a full disk would hurt Spark itself and the node's other tenants
_HEALTH = "yarn.nodemanager.disk-health-checker."
_YARN_LIMIT = 90.0  # percent, YARN's default; YARN takes a fuller disk out of use and ends the containers on it
_KUBERNETES_LIMIT = 90.0  # percent, at which a kubelet evicts pods by default
_MORE = 1.2  # times what such a limit leaves free, as other processes write, too


@dataclass(frozen=True)
class Spare:
    """How much of each local disk segments leave free: the larger of `size` and `share`.

    Attributes:
        size: bytes.
        share: a share of the disk's size, 0 to 1.
    """

    size: int
    share: float = 0.0

    def of(self, total: int) -> int:
        """Return the bytes to leave free on a disk of `total` bytes."""
        return max(self.size, int(self.share * total))


def spare(setting: str | None, master: str, yarn: Mapping[str, str]) -> Spare:
    """Decide how much of each local disk segments leave free.

    Args:
        setting: cluster.spare_disk.
        master: the URL of Spark's master.
        yarn: YARN's settings by name, including those of its disk health checker; used only on YARN.

    Returns:
        The setting; without it 256 MiB, or a fifth more than the cluster manager's own limit leaves free.
    """
    if setting is not None:
        return Spare(mebibytes(setting) << 20)
    if master.startswith("k8s:"):
        return Spare(_LEAST << 20, _MORE * (100 - _KUBERNETES_LIMIT) / 100)
    if master != "yarn" or yarn.get(f"{_HEALTH}enable", "true") == "false":
        return Spare(_LEAST << 20)
    limit = float(yarn.get(f"{_HEALTH}max-disk-utilization-per-disk-percentage", _YARN_LIMIT))
    free = int(yarn.get(f"{_HEALTH}min-free-space-per-disk-mb", "0"))
    return Spare(max(_LEAST, int(_MORE * free)) << 20, _MORE * (100 - limit) / 100)


def spare_of(context: SparkContext, setting: str | None) -> Spare:
    """Decide how much of each local disk segments leave free in this application; see `spare`."""
    yarn: Mapping[str, str] = {}
    if master(context) == "yarn":
        conf = jvm(context).org.apache.hadoop.yarn.conf.YarnConfiguration(context._jsc.hadoopConfiguration())
        yarn = dict(conf.getValByRegex(f"^{_HEALTH}"))
    return spare(setting, master(context), yarn)


def local_dirs() -> list[Path]:
    """Return Spark's local directories on this executor."""
    return [Path(path) for path in os.environ["SPARK_LOCAL_DIRS"].split(",")]


def make_folders(name: str, directories: Sequence[Path]) -> list[Path]:
    """Make a folder on each disk of the directories and return their paths.

    A disk that can't be written to is left out, as by Spark itself, with a line in the executor's log.

    Args:
        name: the name of the folders.
        directories: Spark's local directories; of several on one disk, the first is used.

    Raises:
        OSError: no disk can be written to.
    """
    folders: dict[int, Path] = {}
    broken: OSError | None = None
    for directory in directories:
        try:
            device = directory.stat().st_dev
            if device not in folders:
                (directory / name).mkdir(parents=True)
                folders[device] = directory / name
        except OSError as error:
            broken = error
            print(f"sparktrain: no segments go to {directory}: {error}", file=sys.stderr)
    if not folders:
        raise broken or OSError("Spark has no local directory")
    return list(folders.values())


def remove_left(directories: Sequence[Path]) -> None:
    """Remove the folders that killed tasks have left in the directories: those whose process is gone."""
    for left in (path for directory in directories for path in directory.glob("sparktrain-*-pid*")):
        if not psutil.pid_exists(int(left.name.rsplit("pid", 1)[1])):
            shutil.rmtree(left, ignore_errors=True)
