"""Makes commands for users to paste."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]  # of a checkout


def training_command(arguments: Sequence[str]) -> str:
    """Return the shell command that runs jobs/train.py with these arguments from the current folder."""
    launcher = _ROOT / "spark-submit.sh"
    if not launcher.exists():
        program = "spark-submit"
    else:
        program = "./spark-submit.sh" if Path.cwd() == _ROOT else str(launcher)
    return shlex.join([program, "jobs/train.py", *arguments])
