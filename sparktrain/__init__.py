"""Train Keras and TensorFlow models inside a Spark job."""

from __future__ import annotations

import atexit
import logging
from typing import TYPE_CHECKING, Any

from sparktrain.cluster.application_end import stop_left_application
from sparktrain.exports import load_export

if TYPE_CHECKING:  # for editors
    from sparktrain.driver.api import run_function as run
    from sparktrain.driver.api import train
    from sparktrain.driver.control.run_control import RunControl, RunStopped
    from sparktrain.ml.scoring import score
    from sparktrain.search.cross_validating import cross_validate
    from sparktrain.search.tuning import tune
    from sparktrain.training.tensorflow.devices import scale_up

__version__ = "0.1.0"
__all__ = ["RunControl", "RunStopped", "__version__", "cross_validate", "run", "scale_up", "score", "train", "tune"]


atexit.register(stop_left_application)
logging.getLogger(__name__).addHandler(logging.NullHandler())  # whether a library's notes are shown is for the program to say


# The child imports no pyspark and the task no TensorFlow, so the package's face loads nothing by itself
_WHERE = {
    "cross_validate": "search.cross_validating",
    "RunControl": "driver.control.run_control",
    "RunStopped": "driver.control.run_control",
    "score": "ml.scoring",
    "scale_up": "training.tensorflow.devices",
    "train": "driver.api",
    "tune": "search.tuning",
}


def __getattr__(name: str) -> Any:
    if name == "run":
        from sparktrain.driver import run_function

        return run_function
    return load_export(__name__, _WHERE, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # help() shows what is loaded only when asked for, too
