"""The types that the other rooms exchange: small, without side effects, importing nothing of this package."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Checkpointed": "interfaces.messages",
    "Collective": "interfaces.collective",
    "ENGINES": "interfaces.engines",
    "EndEvent": "interfaces.events",
    "Engine": "interfaces.engines",
    "EpochEnd": "interfaces.messages",
    "EpochEvent": "interfaces.events",
    "Event": "interfaces.events",
    "Fit": "interfaces.training_spec",
    "Launch": "interfaces.launch",
    "Order": "interfaces.messages",
    "Output": "interfaces.training_spec",
    "PhaseEvent": "interfaces.events",
    "Place": "interfaces.launch",
    "Source": "interfaces.training_spec",
    "TrainingSpec": "interfaces.training_spec",
}
__all__ = [
    "ENGINES",
    "Checkpointed",
    "Collective",
    "EndEvent",
    "Engine",
    "EpochEnd",
    "EpochEvent",
    "Event",
    "Fit",
    "Launch",
    "Order",
    "Output",
    "PhaseEvent",
    "Place",
    "Source",
    "TrainingSpec",
]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
