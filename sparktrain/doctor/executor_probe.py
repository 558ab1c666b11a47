"""The checks that run in a Spark task on each executor. TensorFlow is imported only by a child process."""

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
from sparktrain.driver.lineage import versions
from sparktrain.storage import StorageError, open_folder

CHILD_SECONDS = 180  # TensorFlow's first import from a cold disk takes its time
_SEES = """
import json, tensorflow as tf
seen = [each.name for each in tf.config.list_physical_devices("GPU")]
print(json.dumps({"seen": seen, "cuda_build": tf.test.is_built_with_cuda()}))
"""


def look(number: int) -> dict[str, Any]:
    """Return what the executor has: all that it can find out by itself."""
    return {
        **_who(number),
        "versions": versions(),
        "interpreter": sys.executable,
        "node_cores": os.cpu_count(),
        "node_memory": psutil.virtual_memory().total,
        "nvidia_devices": len(glob.glob("/dev/nvidia[0-9]*")),
        "gpus": _gpus(),
        "disks": [_disk(path) for path in os.environ["SPARK_LOCAL_DIRS"].split(",")],
    }


def see_gpus(number: int) -> dict[str, Any]:
    """Return which of the GPUs that Spark has given this task TensorFlow sees."""
    return {**_who(number), "gpus": _gpus(), **tensorflow_sees(_gpus())}


def tensorflow_sees(addresses: list[str]) -> dict[str, Any]:
    """Return which GPUs TensorFlow sees in a fresh interpreter, like that of a training process.

    Args:
        addresses: the addresses of GPUs.

    Returns:
        seen: the devices, or None where TensorFlow failed; cuda_build: whether it was built for any; said: its last lines.
    """
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings tell of libraries that are missing
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        "CUDA_VISIBLE_DEVICES": ",".join(addresses),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SEES], env=environment, capture_output=True, text=True, timeout=CHILD_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"seen": None, "cuda_build": None, "said": f"TensorFlow was not imported within {CHILD_SECONDS} s"}
    told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"seen": None, "cuda_build": None}
    return {**told, "said": "\n".join(done.stderr.splitlines()[-8:])}


def use_storage(number: int, url: str, hadoop: Mapping[str, str], shared: str | None) -> dict[str, Any]:
    """Try a storage from this executor.

    Args:
        url: a folder that only this examination uses.
        hadoop: the part of Hadoop's configuration that the storage needs.
        shared: a file in the folder that the driver has written; None if it could not.
    """
    try:
        folder = open_folder(url, hadoop)
        tried = try_storage(folder.join(f"executor-{number}"))
        sees = shared is None or tried["failed"] is not None or folder.exists(shared)
    except StorageError as error:
        tried, sees = {"milliseconds": {}, "failed": "open", "reason": str(error)}, True
    return {**_who(number), **tried, "sees_the_drivers_file": sees}


def _who(number: int) -> dict[str, str]:
    """Return the executor: the address by which others reach its host, and a name."""
    host = BarrierTaskContext.get().getTaskInfos()[number].address.rpartition(":")[0]  # the port is no name of anything
    return {"host": host, "executor": f"{host} #{number}"}


def _gpus() -> list[str]:
    given = BarrierTaskContext.get().resources().get("gpu")
    return list(given.addresses) if given is not None else []


def _disk(path: str) -> dict[str, Any]:
    try:
        usage, device = shutil.disk_usage(path), os.stat(path).st_dev
    except OSError as error:
        return {"path": path, "failed": str(error)}
    return {"path": path, "device": device, "free": usage.free, "total": usage.total, "writable": os.access(path, os.W_OK)}
