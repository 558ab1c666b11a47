"""What a program calls: `train` on a frame, `run_function` in every worker, `run_job` and the mains on a configuration."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Given", "Result", "main", "prepare_main", "run_function", "run_job", "train", "write_prepared"]

_WHERE = {
    "Given": "given",
    "Result": "result",
    "main": "program",
    "prepare_main": "program",
    "run_function": "own_loop",
    "run_job": "run",
    "train": "keywords",
    "write_prepared": "preparation",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the launcher checks a configuration without waiting for pyspark's import.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.driver.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'sparktrain.driver' has no attribute {name!r}")
