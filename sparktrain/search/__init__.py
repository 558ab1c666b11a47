"""Many runs over the same rows."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "Failure": "comparison",
    "Outcome": "comparison",
    "Variant": "comparison",
    "compare": "comparison",
    "markdown": "comparison",
    "metric_of": "comparison",
    "picture": "comparison",
    "table_csv": "comparison",
    "variants": "comparison",
}
__all__ = ["Failure", "Outcome", "Variant", "compare", "markdown", "metric_of", "picture", "table_csv", "variants"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.search.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
