"""Checks whether a cluster is fit to train on."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "main": "doctor.program",
}
__all__ = ["main"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
