"""What the sandbox's tests share: its command line, and waiting for processes to be gone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def command():
    """Runs `python -m sparktrain.sandbox` and returns the ended process, with what it printed."""

    def run(*arguments: object, **environment: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "sparktrain.sandbox", *map(str, arguments)],
            text=True,
            capture_output=True,
            timeout=200,
            cwd=Path(__file__).parents[2],
            **environment,
        )

    return run


def gone(pids: Iterable[int | None], seconds: float) -> bool:
    """Whether all processes end within a time."""
    deadline = time.monotonic() + seconds
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _runs(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(name="gone")
def gone_fixture():
    return gone
