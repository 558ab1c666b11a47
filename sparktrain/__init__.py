"""Train Keras and TensorFlow models inside a Spark job."""

from __future__ import annotations

import atexit
from typing import Any

from sparktrain.cluster.application_end import stop_left_application

__version__ = "0.1.0"
__all__ = ["__version__", "run", "scale_up", "train"]


atexit.register(stop_left_application)


def __getattr__(name: str) -> Any:
    # The child imports no pyspark and the task no TensorFlow, so the package's face loads nothing by itself.
    if name == "train":
        from sparktrain.driver import train

        return train
    if name == "run":
        from sparktrain.driver import run_function

        return run_function
    if name == "scale_up":
        from sparktrain.training.devices import scale_up

        return scale_up
    raise AttributeError(f"module 'sparktrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # help() shows what is loaded only when asked for, too
