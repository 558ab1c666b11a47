"""Runs workers on Spark: slots, the barrier stage, the child process, the control channel."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Child": "cluster.processes.child",
    "overhead_needed": "cluster.executors.memory",
}
__all__ = ["Child", "overhead_needed"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
