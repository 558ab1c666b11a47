"""What a program calls: `train` on a frame, `run_function` in every worker, `run_job` on a configuration."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Result", "SuppliedObjects", "failed", "run_function", "run_job", "show", "train", "write_prepared"]

_WHERE = {
    "SuppliedObjects": "driver.supplied_objects",
    "Result": "runs.result",
    "failed": "driver.failure_report",
    "show": "driver.failure_report",
    "run_function": "driver.api",
    "run_job": "driver.training_run",
    "train": "driver.api",
    "write_prepared": "driver.preparation_run",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the launcher checks a configuration without waiting for pyspark's import.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'sparktrain.driver' has no attribute {name!r}")
