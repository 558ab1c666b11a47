"""The command `sparktrain`, and the programs of jobs/: `main` for train.py, `prepare_main` for prepare.py, `tune_main` for tune.py,
`score_main` for score.py."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "main": "cli.job_program",
    "prepare_main": "cli.job_program",
    "score_main": "cli.job_program",
    "tune_main": "cli.job_program",
}
__all__ = ["main", "prepare_main", "score_main", "tune_main"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
