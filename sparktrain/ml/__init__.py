"""Uses trained models in Spark: scoring of a frame."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {"score": "ml.scoring"}
__all__ = ["score"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
