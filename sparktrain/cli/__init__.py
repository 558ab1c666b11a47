"""The command `sparktrain`, and the programs of jobs/: `main` for train.py, `prepare_main` for prepare.py."""

from __future__ import annotations

from typing import Any

__all__ = ["main", "prepare_main"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command `sparktrain` needs no pyspark.
    if name in __all__:
        from sparktrain.cli import job_program

        return getattr(job_program, name)
    raise AttributeError(f"module 'sparktrain.cli' has no attribute {name!r}")
