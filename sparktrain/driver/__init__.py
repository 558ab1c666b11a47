"""What a program calls: `train` on a frame, `run_function` in every worker, `run_job` on a configuration."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Result": "runs.result",
    "RunControl": "driver.control.run_control",
    "RunStopped": "driver.control.run_control",
    "SuppliedObjects": "driver.supplied_objects",
    "failed": "driver.failure_report",
    "run_function": "driver.api",
    "run_job": "driver.training_run",
    "show": "driver.failure_report",
    "train": "driver.api",
    "write_prepared": "driver.preparation_run",
}
__all__ = [
    "Result",
    "RunControl",
    "RunStopped",
    "SuppliedObjects",
    "failed",
    "run_function",
    "run_job",
    "show",
    "train",
    "write_prepared",
]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
