"""Inspects an executor from a Spark task that runs on it. TensorFlow is imported only by a child process."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psutil
from pyspark import BarrierTaskContext

from sparktrain.doctor.storage_probe import try_storage
from sparktrain.driver.artifacts.lineage import versions
from sparktrain.storage import StorageError, open_folder

CHILD_SECONDS = 180  # TensorFlow's first import from a cold disk is slow
_LIST_GPUS = """
import json, tensorflow as tf
seen = [device.name for device in tf.config.list_physical_devices("GPU")]
print(json.dumps({"seen": seen, "cuda_build": tf.test.is_built_with_cuda()}))
"""


def describe_executor(number: int) -> dict[str, Any]:
    """Return the executor's host, versions, interpreter, cores, memory, GPUs and local disks.

    Args:
        number: the number of this task in its barrier stage.

    Returns:
        executor, host; versions: version by package; interpreter: its Python; node_cores; node_memory: bytes; nvidia_devices:
        their number on the host; gpus: addresses of those that Spark assigned; disks: one dict for each of Spark's local dirs.
    """
    return {
        **_identity(number),
        "versions": versions(),
        "interpreter": sys.executable,
        "node_cores": os.cpu_count(),
        "node_memory": psutil.virtual_memory().total,
        "nvidia_devices": len(glob.glob("/dev/nvidia[0-9]*")),
        "gpus": _gpus(),
        "disks": [_disk(path) for path in os.environ["SPARK_LOCAL_DIRS"].split(",")],
    }


def visible_gpus(number: int) -> dict[str, Any]:
    """Return the GPUs that Spark assigned to this task, and those of them that TensorFlow sees.

    Args:
        number: the number of this task in its barrier stage.

    Returns:
        executor, host; gpus: the assigned addresses; and what `tensorflow_gpus` returns for these.
    """
    return {**_identity(number), "gpus": _gpus(), **tensorflow_gpus(_gpus())}


def tensorflow_gpus(addresses: list[str]) -> dict[str, Any]:
    """Return the GPUs that TensorFlow sees in a fresh interpreter, as a training process would.

    Args:
        addresses: the addresses of the GPUs that are made visible to it.

    Returns:
        seen: the names of the devices, or None if TensorFlow failed; cuda_build: whether it was built with CUDA, or None if
        it failed; said: its last 8 lines on standard error.
    """
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "1",  # its warnings name missing libraries
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        "CUDA_VISIBLE_DEVICES": ",".join(addresses),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LIST_GPUS], env=environment, capture_output=True, text=True, timeout=CHILD_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"seen": None, "cuda_build": None, "said": f"TensorFlow was not imported within {CHILD_SECONDS} s"}
    devices = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"seen": None, "cuda_build": None}
    return {**devices, "said": "\n".join(done.stderr.splitlines()[-8:])}


def try_executor_storage(number: int, url: str, hadoop: Mapping[str, str], shared: str | None) -> dict[str, Any]:
    """Try a storage from this executor, and check that it sees a file that the driver wrote.

    Args:
        number: the number of this task in its barrier stage.
        url: a folder that only this examination uses.
        hadoop: the part of Hadoop's configuration that the storage needs.
        shared: the name of the driver's file in the folder; None if the driver could not write it.

    Returns:
        executor, host; what `try_storage` returns; sees_the_drivers_file.
    """
    try:
        folder = open_folder(url, hadoop)
        trial = try_storage(folder.join(f"executor-{number}"))
        sees_file = shared is None or trial["failed"] is not None or folder.exists(shared)
    except StorageError as error:
        trial, sees_file = {"milliseconds": {}, "failed": "open", "reason": str(error)}, True
    return {**_identity(number), **trial, "sees_the_drivers_file": sees_file}


def _identity(number: int) -> dict[str, str]:
    """Return the address by which other hosts reach the executor's host, and a name for the executor."""
    host = BarrierTaskContext.get().getTaskInfos()[number].address.rpartition(":")[0]  # the port belongs to this stage only
    return {"host": host, "executor": f"{host} #{number}"}


def _gpus() -> list[str]:
    assigned = BarrierTaskContext.get().resources().get("gpu")
    return list(assigned.addresses) if assigned is not None else []


def _disk(path: str) -> dict[str, Any]:
    try:
        usage, device = shutil.disk_usage(path), os.stat(path).st_dev
    except OSError as error:
        return {"path": path, "failed": str(error)}
    return {"path": path, "device": device, "free": usage.free, "total": usage.total, "writable": os.access(path, os.W_OK)}
