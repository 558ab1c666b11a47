"""Trains in the child process: the user's model on this worker's batches, together with the other workers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "train": "keras",
}
__all__ = ["train"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
