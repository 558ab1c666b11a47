"""Shows a run to a person: progress, tables, notes, at a terminal or in a notebook."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "RunDisplay": "console",
    "make_console": "console",
}
__all__ = ["RunDisplay", "make_console"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.display.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
