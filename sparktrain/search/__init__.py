"""Many runs over the same rows."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Failure": "search.comparison",
    "Outcome": "search.comparison",
    "Variant": "search.comparison",
    "compare": "search.comparison",
    "markdown": "search.comparison",
    "metric_of": "search.comparison",
    "picture": "search.comparison",
    "table_csv": "search.comparison",
    "variants": "search.comparison",
}
__all__ = ["Failure", "Outcome", "Variant", "compare", "markdown", "metric_of", "picture", "table_csv", "variants"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
