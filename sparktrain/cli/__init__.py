"""The command `sparktrain`, and what the programs of jobs/ run: `main` for train.py, `prepare_main` for prepare.py."""

from __future__ import annotations

from typing import Any

__all__ = ["main", "prepare_main"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command `sparktrain` needs no pyspark.
    if name in __all__:
        from sparktrain.cli import job_program

        return getattr(job_program, name)
    raise AttributeError(f"module 'sparktrain.cli' has no attribute {name!r}")
