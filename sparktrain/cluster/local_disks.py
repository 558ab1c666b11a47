"""Spark's local disks as the place of a worker's segments: its folders on them, and how much of each is left free."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from pyspark import SparkContext

from sparktrain.cluster.memory import mebibytes
from sparktrain.cluster.spark_context import jvm, master

_LEAST = 256  # MiB: a full disk would hurt Spark itself and the node's other tenants
_HEALTH = "yarn.nodemanager.disk-health-checker."
_YARN_LIMIT = 90.0  # percent, YARN's default; where a disk is fuller, YARN gives it up and ends what runs on it
_KUBERNETES_LIMIT = 90.0  # percent, at which a kubelet evicts pods by default
_MORE = 1.2  # times what such a limit leaves free: others write meanwhile


@dataclass(frozen=True)
class Spare:
    """How much of each local disk segments leave free: the larger of both.

    Attributes:
        size: in bytes.
        share: of the disk's size, 0 to 1.
    """

    size: int
    share: float = 0.0

    def of(self, total: int) -> int:
        """Return the bytes to leave free of a disk of `total` bytes."""
        return max(self.size, int(self.share * total))


def spare(setting: str | None, master: str, yarn: Mapping[str, str]) -> Spare:
    """Decide how much of each local disk segments leave free.

    Args:
        setting: cluster.spare_disk.
        master: Spark's.
        yarn: YARN's settings by their name, those of its disk health checker among them; used where Spark is on YARN.

    Returns:
        What the setting says; without it 256 MiB, or a fifth more than the cluster manager's own check of disks asks for.
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
    """Spark's local directories on this executor."""
    return [Path(path) for path in os.environ["SPARK_LOCAL_DIRS"].split(",")]


def make_folders(name: str, directories: Sequence[Path]) -> list[Path]:
    """Make a folder on each disk of the directories.

    A disk that can't be written to is left out, as Spark itself does, with a line in the executor's log.

    Args:
        name: of the folders.
        directories: Spark's local directories; of several on one disk, the first is taken.

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
    """Remove what tasks that were killed have left in the directories: the folders whose process is gone."""
    for left in (path for directory in directories for path in directory.glob("sparktrain-*-pid*")):
        if not psutil.pid_exists(int(left.name.rsplit("pid", 1)[1])):
            shutil.rmtree(left, ignore_errors=True)
