"""Runs workers on Spark: slots, the barrier stage, the child process, the control channel."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "Child": "child",
    "overhead_needed": "memory",
}
__all__ = ["Child", "overhead_needed"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.cluster.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
