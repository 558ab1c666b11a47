"""Trains in the child process: the user's model on this worker's batches, together with the other workers."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "train": "training.keras",
}
__all__ = ["train"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
