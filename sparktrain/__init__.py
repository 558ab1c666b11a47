"""Train Keras and TensorFlow models inside a Spark job."""

from __future__ import annotations

import atexit
from typing import Any

from sparktrain.cluster.application_end import stop_left_application
from sparktrain.exports import load_export

__version__ = "0.1.0"
__all__ = ["__version__", "run", "scale_up", "train"]


atexit.register(stop_left_application)


# The child imports no pyspark and the task no TensorFlow, so the package's face loads nothing by itself
_WHERE = {"train": "driver.api", "scale_up": "training.devices"}


def __getattr__(name: str) -> Any:
    if name == "run":
        from sparktrain.driver import run_function

        return run_function
    return load_export(__name__, _WHERE, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # help() shows what is loaded only when asked for, too
