"""A run as files on the storage: its folder and claim, its records, its log, and the listing of runs. Needs no Spark."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "End": "records",
    "Line": "records",
    "Lineage": "records",
    "Result": "result",
    "RunSnapshot": "snapshot",
    "Signature": "records",
    "Status": "records",
    "Summary": "records",
    "exit_status": "result",
    "final_result": "snapshot",
    "find_run": "snapshot",
    "latest": "finished",
    "listed": "listing",
    "read_run": "snapshot",
    "resolve": "finished",
}
__all__ = [
    "End",
    "Line",
    "Lineage",
    "Result",
    "RunSnapshot",
    "Signature",
    "Status",
    "Summary",
    "exit_status",
    "final_result",
    "find_run",
    "latest",
    "listed",
    "read_run",
    "resolve",
]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, as not every process that imports a file of this room has what all of them need.
    if name in _WHERE:
        return getattr(import_module(f"sparktrain.runs.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
