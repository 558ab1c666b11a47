"""Whether a cluster is fit to train on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "main": "program",
}
__all__ = ["main"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.doctor.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
