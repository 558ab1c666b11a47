"""Writes spark-submit's own lines to a log file, so that they don't mix with those of the program."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO

from sparktrain.known_messages.known_message import line_with
from sparktrain.known_messages.spark_submit import ERROR_LINE

_KEPT = 14 * 86_400.0  # seconds
_FIRST, _LAST = 10, 20  # lines that are shown of a long log


class SparkLog:
    """A log file for spark-submit's own lines.

    Args:
        environment: environment variables; XDG_STATE_HOME or HOME determines the folder.

    Attributes:
        path: the file's path; None if no folder can be written to, so that the lines go to standard error.
        file: the open file; None likewise.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.path: Path | None = None
        self.file: IO[bytes] | None = None
        name = f"spark-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
        for folder in _folders(environment):
            with contextlib.suppress(OSError):  # a read-only or missing home; a full disk
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.file = open(folder / name, "xb")
                self.path = folder / name
                _remove_old(folder)
                return

    def close(self) -> None:
        """Close the file, and remove it if it is empty."""
        if self.file is not None and self.path is not None:
            self.file.close()
            with contextlib.suppress(OSError):  # the file was removed
                if self.path.stat().st_size == 0:
                    self.path.unlink()

    def lines(self) -> list[str]:
        """Return the file's lines."""
        try:
            return self.path.read_text(errors="replace").splitlines() if self.path is not None else []
        except OSError:
            return []

    def error(self) -> str | None:
        """Return the first line that looks like an error; None if there is none."""
        return line_with([ERROR_LINE], "\n".join(self.lines()))

    def excerpt(self) -> str:
        """Return the file's first 10 and last 20 lines."""
        lines = self.lines()
        if len(lines) > _FIRST + _LAST:
            lines = [*lines[:_FIRST], f"… {len(lines) - _FIRST - _LAST:,} lines …", *lines[-_LAST:]]
        return "\n".join(lines)


def _folders(environment: Mapping[str, str]) -> Iterator[Path]:
    state = environment.get("XDG_STATE_HOME") or (f"{environment['HOME']}/.local/state" if environment.get("HOME") else None)
    if state is not None:
        yield Path(state, "sparktrain")
    yield Path(tempfile.gettempdir(), f"sparktrain-logs-{os.getuid()}")


def _remove_old(folder: Path) -> None:
    for path in folder.glob("spark-*.log"):
        with contextlib.suppress(OSError):  # removed by another start
            if time.time() - path.stat().st_mtime > _KEPT:
                path.unlink()
