"""Measures how fast workers average tensors, and checks the result; its function is run by `sparktrain.run`, without rows."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import numpy
import psutil


def measure(worker: Any, megabytes: int, repeats: int) -> dict[str, Any]:
    """Time the averaging of a large and of a small tensor, averaged as a training step averages gradients.

    Args:
        worker: what `sparktrain.run` passes to its function.
        megabytes: size of the large tensor in MB.
        repeats: how often the large tensor is averaged; a tensor of one number is averaged ten times as often.

    Returns:
        rank; host; large, small: the seconds of each average; error: the largest relative error of a mean; resident: bytes of
        memory that this process takes; gpus: the names of the GPUs that TensorFlow sees.
    """
    import tensorflow as tf  # only here: the driver imports this module to name the function

    @tf.function
    def averaged(values: Any) -> Any:
        return worker.average(values)

    def seconds(values: Any) -> float:
        begun = time.perf_counter()
        averaged(values)[0].numpy()  # waits for the result, which a GPU may still be computing
        return time.perf_counter() - begun

    pattern = 1 + tf.cast(tf.range(megabytes * 1_000_000 // 4) % 1000, tf.float32)
    large, small = pattern * (worker.rank + 1), tf.constant([worker.rank + 1.0])
    mean = (worker.size + 1) / 2  # of rank + 1 over all workers
    errors = [numpy.abs(averaged(values) / (expected * mean) - 1).max() for values, expected in ((large, pattern), (small, 1))]
    return {
        "rank": worker.rank,
        "host": socket.gethostname(),
        "large": _repeated(lambda: seconds(large), repeats),
        "small": _repeated(lambda: seconds(small), 10 * repeats),
        "error": float(numpy.max(errors)),  # NaN if one of them is
        "resident": psutil.Process().memory_info().rss,
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }


def _repeated(measurement: Callable[[], float], times: int) -> list[float]:
    return [measurement() for _ in range(times)]
