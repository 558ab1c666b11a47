"""Many runs over the same rows: comparisons of ways to train, cross-validation, and searches for the best values of a job's keys."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Failure": "search.comparison",
    "Outcome": "search.comparison",
    "Variant": "search.comparison",
    "compare": "search.comparison",
    "cross_validate": "search.cross_validating",
    "markdown": "search.comparison",
    "metric_of": "search.comparison",
    "picture": "search.comparison",
    "run_cross_validation": "search.cross_validation",
    "run_search": "search.search_run",
    "table_csv": "search.comparison",
    "tune": "search.tuning",
    "variants": "search.comparison",
}
__all__ = [
    "Failure",
    "Outcome",
    "Variant",
    "compare",
    "cross_validate",
    "markdown",
    "metric_of",
    "picture",
    "run_cross_validation",
    "run_search",
    "table_csv",
    "tune",
    "variants",
]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
