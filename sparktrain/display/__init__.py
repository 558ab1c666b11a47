"""Shows a run to a person: progress, tables, notes, at a terminal or in a notebook."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "RunDisplay": "display.console",
    "make_console": "display.console",
}
__all__ = ["RunDisplay", "make_console"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
