"""The types that the other rooms exchange: small, without side effects, importing nothing of this package."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Checkpointed": "interfaces.messages",
    "Collective": "interfaces.collective",
    "ENGINES": "interfaces.engines",
    "Engine": "interfaces.engines",
    "EpochEnd": "interfaces.messages",
    "Fit": "interfaces.messages",
    "Launch": "interfaces.launch",
    "Order": "interfaces.messages",
    "Place": "interfaces.launch",
    "Source": "interfaces.messages",
}
__all__ = ["ENGINES", "Checkpointed", "Collective", "Engine", "EpochEnd", "Fit", "Launch", "Order", "Place", "Source"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
